--[[ workers_leave: remove deleted workers from a project: the tasks that they hold wait again, and their access ends.

  Their requests are deleted too. Their votes and their counts of closed and failed tasks stay.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  cursor, '0' to begin
  ARGV[3]  about how many assigned tasks to check, 500 or fewer
  ARGV[4+] worker ids, 500 or fewer

  Returns  {next cursor, '0' at the end; how many tasks wait again}
  Refuses  nothing
  Cost     O(workers + assigned tasks checked + tasks that it takes * log queue)
]]
--- @include "clock"
--- @include "project"
--- @include "take_back"

local base, guard, cursor, count = KEYS[1], KEYS[2], ARGV[2], ARGV[3]
local now = clock(ARGV[1])
local workers = { unpack(ARGV, 4) }

local fields = project(base, 'awaited')
if not fields then
  return { '0', 0 }
end

redis.call('DEL', guard)
if cursor == '0' then
  redis.call('HDEL', base .. ':access', unpack(workers))
  redis.call('HDEL', base .. ':requests', unpack(workers))
  redis.call('SREM', base .. ':rejected', unpack(workers))
  for _, worker in ipairs(workers) do
    redis.call('DEL', base .. ':seen:' .. worker)
  end
end

local leaving, members = {}, {}
for _, worker in ipairs(workers) do
  leaving[worker] = true
end
local scan = redis.call('ZSCAN', base .. ':assigned', cursor, 'COUNT', count)
for i = 1, #scan[2], 2 do
  if leaving[string.match(scan[2][i], '%d+$')] then
    members[#members + 1] = scan[2][i]
  end
end
return { scan[1], take_back(base, now, members, fields[2]) }
