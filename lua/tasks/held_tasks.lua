--[[ held_tasks: the tasks that a worker holds, for example to continue after a crash.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  worker id
  ARGV[2]  cursor, '0' to begin
  ARGV[3]  about how many assigned tasks to check, 500 or fewer

  Returns  {next cursor ('0' at the end), revision, task...}, each {id, record, assign time
           (unix s)}; a task may come twice
  Refuses  NOT_FOUND
  Cost     O(assigned tasks checked)
]]
--- @include "project"
--- @include "assignment"
--- @include "task_of"
--- @include "records"
--- @include "with_recipe"

local base, worker, cursor, count = KEYS[1], ARGV[1], ARGV[2], ARGV[3]

local fields = project(base)
if not fields then
  return redis.error_reply('NOT_FOUND No such project')
end

local scan = redis.call('ZSCAN', base .. ':assigned', cursor, 'MATCH', assignment('*', worker), 'COUNT', count)
local tasks, rows = {}, {}
for i = 1, #scan[2], 2 do
  tasks[#tasks + 1] = task_of(scan[2][i])
end
for from = 1, #tasks, 500 do
  local some = { unpack(tasks, from, math.min(from + 499, #tasks)) }
  local holders = redis.call('HMGET', base .. ':holders', unpack(some))
  for i, record in ipairs((records_of(base, some))) do
    local task = some[i]
    local created, _, _, newline = parse_record(record)
    local whole = created and with_recipe(base, task, record, newline)
    -- A task without a record counts as not held.
    if whole then
      rows[#rows + 1] = { task, whole, string.match(holders[i] or '', '^%d+ (%d+)') or false }
    end
  end
end
return { scan[1], fields[1], unpack(rows) }
