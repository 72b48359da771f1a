--[[ extend: move the deadline of tasks that a worker still holds.

  A task that was reclaimed in the meantime is not taken back: its worker learns here that it has lost it.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  worker id
  ARGV[2]  now, unix ms; '' outside tests
  ARGV[3]  seconds from now
  ARGV[4+] task ids, at most 500

  Returns  one number per task, in the order asked: 1 extended, 0 not held by this worker
  Refuses  nothing
  Cost     O(tasks * log assigned)
]]
--- @include "clock"
--- @include "hold"

local base, guard, worker = KEYS[1], KEYS[2], ARGV[1]
local deadline = clock(ARGV[2]) + ARGV[3] * 1000
local extended = {}

redis.call('DEL', guard)
for i = 4, #ARGV do
  local mine = held(base, ARGV[i], worker)
  if mine then
    redis.call('ZADD', base .. ':assigned', deadline, ARGV[i])
  end
  extended[#extended + 1] = mine and 1 or 0
end
return extended
