--[[ worker_count: how many workers were registered; their ids count from 1.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard

  Returns  the last worker's id
  Refuses  nothing
  Cost     O(1)
]]
return tonumber(redis.call('GET', KEYS[1] .. ':next-worker') or 0)
