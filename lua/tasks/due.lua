--[[ due: what there is to do in a project. Changes nothing, so it may run as often as one likes.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests

  Returns  {1 when a worker may find a task: one waits or is overdue, and the project is not paused; 1 when tasks are to
           be reclaimed; 1 when the outbox holds any; 1 when remembered hashes are to be trimmed; 1 when maintenance
           has tasks to work off; 1 when groups or delayed tasks are to be looked at}
  Refuses  nothing
  Cost     O(log assigned)
]]
--- @include "clock"
--- @include "is_due"
--- @include "project"
--- @include "remembered"

local base = KEYS[1]
local now = clock(ARGV[1])

local fields = project(base, 'paused', 'remember_closed', 'limits_walk')
if not fields then
  return { 0, 0, 0, 0, 0, 0 }
end

local overdue = is_due(base .. ':assigned', now)
local came = is_due(base .. ':due', now) or is_due(base .. ':delayed', now)
local waiting = overdue or came or redis.call('EXISTS', base .. ':queue', base .. ':verifying', base .. ':ready',
  base .. ':ready_voted') > 0
local remember = fields[3] or '0'
local expired = remember ~= '0' and remembered(base, now, remember).trim
return {
  waiting and fields[2] ~= '1' and 1 or 0,
  overdue and 1 or 0,
  redis.call('XLEN', base .. ':outbox') > 0 and 1 or 0,
  expired and 1 or 0,
  redis.call('EXISTS', base .. ':drains'),
  (came or is_due(base .. ':resting', now) or fields[4]) and 1 or 0,
}
