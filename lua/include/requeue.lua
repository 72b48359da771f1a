--- @include "ids"

-- requeue(base, task): puts a task that is nowhere at the END of its priority, so that a task that always fails blocks
-- no other. It takes a new, larger place: what `unvoted` knows of `verifying` relies on that. Answers whether it holds
-- votes.
local function requeue(base, task)
  local key = base .. ':task:' .. task
  local fields = redis.call('HMGET', key, 'priority', 'verification_count')
  local voted = fields[2] and redis.call('EXISTS', key .. ':verifiers') == 1
  local place = redis.call('HINCRBY', base, 'seq', 1)
  redis.call('ZADD', base .. (voted and ':verifying' or ':queue'), score_of(fields[1] or 0, place), task)
  return voted
end

-- retry(base, task): a failed task, taken out of `failed`, waits again, as if it had never failed. Its votes stand;
-- answers whether there are any.
local function retry(base, task)
  local key = base .. ':task:' .. task
  redis.call('HDEL', key, 'retries')
  if redis.call('EXISTS', key .. ':verifiers') == 1 then
    redis.call('SADD', base .. ':voted', task)
  end
  return requeue(base, task)
end
