-- grant_access(base, worker, may): a manager grants this access; a request or rejection ends.
local function grant_access(base, worker, may)
  redis.call('HSET', base .. ':access', worker, may)
  redis.call('HDEL', base .. ':requests', worker)
  redis.call('SREM', base .. ':rejected', worker)
end
