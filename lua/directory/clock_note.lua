--[[ clock_note: note the latest time that a sweep has seen, to detect a clock that was set back.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  '1' to note an earlier time as well, after all stored times were rebased; else ''

  Returns  1 if the clock was set back: then nothing is noted; else 0
  Refuses  nothing
  Cost     O(1)
]]
--- @include "clock"

local base, guard, anyway = KEYS[1], KEYS[2], ARGV[2] == '1'
local now = clock(ARGV[1])

local latest = tonumber(redis.call('GET', base .. ':clock') or 0)
if now < latest - 1000 and not anyway then
  return 1
end
if now > latest or anyway then
  redis.call('DEL', guard)
  redis.call('SET', base .. ':clock', string.format('%.0f', now))
end
return 0
