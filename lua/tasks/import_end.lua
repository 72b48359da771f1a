--[[ import_end: a source was imported whole: its mark goes, so that it can be imported again.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  the source

  Returns  1 when there was a mark, else 0
  Refuses  nothing
  Cost     O(1)
]]
local base, guard = KEYS[1], KEYS[2]

redis.call('DEL', guard)
return redis.call('HDEL', base .. ':imported', ARGV[1])
