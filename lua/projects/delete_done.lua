--[[ delete_done: nothing of a deleted project is left.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  project id

  Returns  1 when it was noted as deleted, else 0
  Refuses  nothing
  Cost     O(1)
]]
local base, guard = KEYS[1], KEYS[2]

redis.call('DEL', guard)
return redis.call('SREM', base .. ':deleted', ARGV[1])
