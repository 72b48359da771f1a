--[[ extend: move the deadline of tasks that a worker still holds.

  A task that was reclaimed in the meantime is not assigned to the worker again.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  worker id
  ARGV[2]  now, unix ms; '' outside tests
  ARGV[3]  seconds from now
  ARGV[4+] task ids, at most 500

  Returns  for each task, in the order asked, 1 if it was extended, 0 if this worker does not hold it
  Refuses  nothing
  Cost     O(tasks * log assigned)
]]
--- @include "clock"
--- @include "assignment"

local base, guard, worker = KEYS[1], KEYS[2], ARGV[1]
local deadline = clock(ARGV[2]) + ARGV[3] * 1000
local extended, deadlines = {}, {}

for i = 4, #ARGV do
  local member = assignment(ARGV[i], worker)
  local mine = redis.call('ZSCORE', base .. ':assigned', member)
  if mine then
    deadlines[#deadlines + 1] = deadline
    deadlines[#deadlines + 1] = member
  end
  extended[#extended + 1] = mine and 1 or 0
end
if #deadlines > 0 then
  redis.call('DEL', guard)
  redis.call('ZADD', base .. ':assigned', unpack(deadlines))
end
return extended
