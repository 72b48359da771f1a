--[[ reclaim_worker: tasks that a worker holds wait again, whatever their deadline.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  worker id
  ARGV[3]  cursor, '0' to begin
  ARGV[4]  about how many assigned tasks to check, 500 or fewer

  Returns  {next cursor, '0' at the end; how many tasks of the worker wait again}
  Refuses  NOT_FOUND
  Cost     O(assigned tasks checked + tasks of the worker * log queue)
]]
--- @include "clock"
--- @include "project"
--- @include "assignment"
--- @include "take_back"

local base, guard, worker, cursor, count = KEYS[1], KEYS[2], ARGV[2], ARGV[3], ARGV[4]
local now = clock(ARGV[1])

local fields = project(base, 'awaited')
if not fields then
  return redis.error_reply('NOT_FOUND No such project')
end

local scan = redis.call('ZSCAN', base .. ':assigned', cursor, 'MATCH', assignment('*', worker), 'COUNT', count)
local found, members = scan[2], {}
for i = 1, #found, 2 do
  members[#members + 1] = found[i]
end
if #members > 0 then
  redis.call('DEL', guard)
end
return { scan[1], take_back(base, now, members, fields[2]) }
