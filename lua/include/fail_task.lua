-- note_error(base, task, worker, now, elsewhere, message): why a task failed: `:errors` has it until the task closes,
-- begins anew or goes. `worker`: who had it, '0' for nobody. Up to `elsewhere` (unix ms) others are given it first.
local function note_error(base, task, worker, now, elsewhere, message)
  redis.call('HSET', base .. ':errors', task, string.format('%s %d %.0f %s', worker, now / 1000, elsewhere, message))
end

-- fail_task(base, task, worker, now, message): a task that is nowhere has failed for good. Its votes stand.
local function fail_task(base, task, worker, now, message)
  redis.call('SREM', base .. ':voted', task)
  redis.call('ZADD', base .. ':failed', now, task)
  redis.call('HINCRBY', base, 'failed', 1)
  note_error(base, task, worker, now, 0, message)
end
