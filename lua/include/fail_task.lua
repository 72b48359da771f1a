-- note_error(base, task, worker, now, elsewhere, message): stores in `:errors` why a task failed, until it closes,
-- begins a new round, is retried by a manager or is deleted. `worker`: who held it, '0' for nobody. Until `elsewhere`
-- (unix ms) the task is left to other workers.
local function note_error(base, task, worker, now, elsewhere, message)
  redis.call('HSET', base .. ':errors', task, string.format('%s %d %.0f %s', worker, now / 1000, elsewhere, message))
end

-- fail_task(base, task, worker, now, message): a task that is in no set has failed for good. Its votes stay.
local function fail_task(base, task, worker, now, message)
  redis.call('SREM', base .. ':voted', task)
  redis.call('ZADD', base .. ':failed', now, task)
  redis.call('HINCRBY', base, 'failed', 1)
  note_error(base, task, worker, now, 0, message)
end
