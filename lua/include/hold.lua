--- @include "requeue"

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

-- give_back(...): from its worker back to those that wait.
local function give_back(base, task, worker)
  unassign(base, task, worker)
  redis.call('HDEL', base .. ':task:' .. task, 'assignee', 'assign_time')
  requeue(base, task)
end
