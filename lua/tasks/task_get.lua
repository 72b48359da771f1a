--[[ task_get: one task with all its fields, and its state.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  task id
  ARGV[2]  about how many votes to return at most

  Returns  {state, task}: 'queue', 'verifying', 'delayed', 'assigned' or 'failed', and the task as in
           include/manager_row.lua
  Refuses  NOT_FOUND
  Cost     O(votes)
]]
--- @include "project"
--- @include "find_task"
--- @include "manager_row"

local base, task = KEYS[1], ARGV[1]

if not project(base) then
  return redis.error_reply('NOT_FOUND No such project')
end
local state, score = find_task(base, task)
local found = state and manager_row(base, task, score, 0, tonumber(ARGV[2]))
if not found then
  return redis.error_reply('NOT_FOUND No such task')
end
return { state, found }
