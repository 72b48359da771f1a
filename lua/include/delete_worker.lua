-- delete_worker(base, worker): 1, or 0 if there is no such worker. After a 1 the caller must raise `:version`.
local function delete_worker(base, worker)
  local key = base .. ':worker:' .. worker
  if redis.call('DEL', key) == 0 then
    return 0
  end
  redis.call('DEL', key .. ':projects')
  for _, list in ipairs({ ':worker-closed', ':worker-failed', ':worker-held', ':worker-seen' }) do
    redis.call('ZREM', base .. list, worker)
  end
  redis.call('HDEL', base .. ':worker-info', worker)
  redis.call('SADD', base .. ':deleted-workers', worker)
  redis.call('SADD', base .. ':leaving-workers', worker)
  return 1
end
