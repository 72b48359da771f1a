--- @include "ids"
--- @include "drop_orphan"

-- requeue(base, task): puts a task that is nowhere at the END of its priority, so that a task that always fails blocks
-- no other. It takes a new, larger place: what `unvoted` knows of `verifying` relies on that. Answers how it waits now,
-- 'fresh' (without votes) or 'voted', or nil: its record is gone, and it is dropped.
local function requeue(base, task)
  local key = base .. ':task:' .. task
  local created, priority, count = unpack(redis.call('HMGET', key, 'created', 'priority', 'verification_count'))
  if not created then
    drop_orphan(base, task)
    return nil
  end
  local voted = count and redis.call('EXISTS', key .. ':verifiers') == 1
  local place = math.min(redis.call('HINCRBY', base, 'seq', 1), LAST_PLACE)
  redis.call('ZADD', base .. (voted and ':verifying' or ':queue'), score_of(priority or 0, place), task)
  return voted and 'voted' or 'fresh'
end

-- retry(base, task): a failed task, taken out of `failed`, waits again, as if it had never failed. Its votes stand.
-- Answers as requeue.
local function retry(base, task)
  local key = base .. ':task:' .. task
  redis.call('HDEL', key, 'retries')
  if redis.call('EXISTS', key .. ':verifiers') == 1 then
    redis.call('SADD', base .. ':voted', task)
  end
  return requeue(base, task)
end
