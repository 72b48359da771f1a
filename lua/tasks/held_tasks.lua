--[[ held_tasks: what a worker holds, so that it can go on where it was after a crash.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  worker id
  ARGV[2]  cursor, '0' to begin
  ARGV[3]  about how many assigned tasks to look at, 500 or fewer

  Returns  {next cursor ('0' at the end), revision, task...}, each {id, record, assign time
           (unix s)}; a task may come twice
  Refuses  NOT_FOUND
  Cost     O(assigned tasks that are looked at)
]]
--- @include "project"
--- @include "assignment"
--- @include "holder"
--- @include "whole_record"

local base, worker, cursor, count = KEYS[1], ARGV[1], ARGV[2], ARGV[3]

local fields = project(base)
if not fields then
  return redis.error_reply('NOT_FOUND No such project')
end

local scan = redis.call('ZSCAN', base .. ':assigned', cursor, 'MATCH', assignment('*', worker), 'COUNT', count)
local rows = {}
for i = 1, #scan[2], 2 do
  local task = task_of(scan[2][i])
  local record = whole_record(base, task)
  -- One that has lost its record is no task any more.
  if record then
    local _, assign_time = holder_of(base, task)
    rows[#rows + 1] = { task, record, assign_time or false }
  end
end
return { scan[1], fields[1], unpack(rows) }
