--[[ silent_begin: begin to delete workers that have been silent for a time; `silent_step` deletes them.

  If such a deletion is in progress, it begins again with the first worker, and the shorter time counts.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  seconds for which they have been silent at least

  Returns  1
  Refuses  nothing
  Cost     O(1)
]]
--- @include "clock"

local base, guard = KEYS[1], KEYS[2]
local now = clock(ARGV[1])
local key = base .. ':silent'
-- The time of a worker's last call is known to the minute, and noted up to a minute late.
local before = math.floor(now / 1000 - tonumber(ARGV[2])) - 120

redis.call('DEL', guard)
before = math.max(before, tonumber(redis.call('HGET', key, 'before') or 0))
redis.call('HSET', key, 'before', before, 'next', 1, 'at', string.format('%.0f', now))
return 1
