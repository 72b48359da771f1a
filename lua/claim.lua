--[[ claim: take a periodic job for a while, so that the other processes need not do it as well.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  job
  ARGV[2]  milliseconds

  Returns  1 when it is the caller's, 0 when another has it
  Refuses  nothing
  Cost     O(1)
]]
local base, guard = KEYS[1], KEYS[2]

redis.call('DEL', guard)
return redis.call('SET', base .. ':claim:' .. ARGV[1], '1', 'NX', 'PX', ARGV[2]) and 1 or 0
