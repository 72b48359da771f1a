--- @include "requeue"

-- A task is held by a worker when `assigned` has `<task>:<worker>`, with its deadline. Nothing else says so.
local function assignment(task, worker)
  return task .. ':' .. worker
end

-- task_of(member): the task that a member of `assigned` names.
local function task_of(member)
  return string.match(member, '^[^:]*')
end

-- unassign(base, task): a task that has left `assigned` waits again. Answers as requeue.
local function unassign(base, task)
  redis.call('HDEL', base .. ':task:' .. task, 'assignee', 'assign_time')
  return requeue(base, task)
end
