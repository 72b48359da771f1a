--- @include "ids"

-- A task is held by a worker when it is in `assigned` and its assignee is this worker.
local function held(base, task, worker)
  return redis.call('HGET', base .. ':task:' .. task, 'assignee') == worker
    and redis.call('ZSCORE', base .. ':assigned', task)
end

-- unassign(...): out of `assigned`; where it goes next is the caller's to say, in the same script.
local function unassign(base, task, worker)
  local mine = base .. ':held:' .. worker
  redis.call('ZREM', base .. ':assigned', task)
  redis.call('SREM', mine, task)
  if redis.call('EXISTS', mine) == 0 then
    redis.call('SREM', base .. ':assignees', worker)
  end
end

-- give_back(...): from its worker to the END of its priority, so that a task that always fails blocks no other. It
-- takes a new, larger place: what `unvoted` knows of `verifying` relies on that.
local function give_back(base, task, worker)
  local key = base .. ':task:' .. task
  unassign(base, task, worker)
  redis.call('HDEL', key, 'assignee', 'assign_time')
  local waiting = redis.call('EXISTS', key .. ':verifiers') == 1 and ':verifying' or ':queue'
  local place = redis.call('INCR', base .. ':seq')
  redis.call('ZADD', base .. waiting, score_of(redis.call('HGET', key, 'priority') or 0, place), task)
end
