--[[ reclaim: tasks whose deadline has passed wait again; those that were reclaimed too often fail.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  how many at most

  Returns  how many it took from their workers; fewer than asked means that none is left
  Refuses  nothing
  Cost     O(tasks * log queue)
]]
--- @include "clock"
--- @include "reclaim_held"

local base, guard = KEYS[1], KEYS[2]
local now, limit = clock(ARGV[1]), tonumber(ARGV[2])

redis.call('DEL', guard)
local overdue = redis.call('ZRANGE', base .. ':assigned', '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)
if #overdue > 0 then
  reclaim_held(base, now, overdue)
end
return #overdue
