--- @include "requeue"

-- A task is held by a worker when `assigned` has `<task>:<worker>`, with its deadline. Nothing else says so.
local function hold(task, worker)
  return task .. ':' .. worker
end

-- holder(member): the task and the worker of a member of `assigned`.
local function holder(member)
  return string.match(member, '^(%d+):(%d+)$')
end

-- give_back(base, task): a task that has left `assigned` waits again. Answers whether it holds votes.
local function give_back(base, task)
  redis.call('HDEL', base .. ':task:' .. task, 'assignee', 'assign_time')
  return requeue(base, task)
end
