--[[ task_get: one task with all its fields, and the state it is in.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  task id

  Returns  {state, task}: 'queue', 'verifying', 'assigned' or 'failed', and the task as in include/row.lua
  Refuses  NOT_FOUND
  Cost     O(votes)
]]
--- @include "project"
--- @include "hold"
--- @include "row"

local base, task = KEYS[1], ARGV[1]
local worker = redis.call('HGET', base .. ':task:' .. task, 'assignee')

if not project(base) then
  return redis.error_reply('NOT_FOUND No such project')
end
for _, state in ipairs({ 'queue', 'verifying', 'assigned', 'failed' }) do
  local score = redis.call('ZSCORE', base .. ':' .. state, state == 'assigned' and hold(task, worker or '') or task)
  if score then
    return { state, (row(base, task, score, 0)) }
  end
end
return redis.error_reply('NOT_FOUND No such task')
