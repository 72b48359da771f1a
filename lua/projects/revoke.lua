--[[ revoke: a manager rejects a worker's request, and ends its access. It may still release what it holds.

  Until a manager grants it access again, the worker cannot join with a token.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  worker id

  Returns  1
  Refuses  NOT_FOUND
  Cost     O(1)
]]
--- @include "project"

local base, guard, worker = KEYS[1], KEYS[2], ARGV[1]

if not project(base) then
  return redis.error_reply('NOT_FOUND No such project')
end
if redis.call('HEXISTS', base .. ':requests', worker) + redis.call('HEXISTS', base .. ':access', worker) == 0 then
  return redis.error_reply('NOT_FOUND This worker has neither access to the project nor a request for it')
end

redis.call('DEL', guard)
redis.call('HDEL', base .. ':requests', worker)
redis.call('HDEL', base .. ':access', worker)
redis.call('SADD', base .. ':rejected', worker)
return 1
