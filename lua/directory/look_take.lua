--[[ look_take: take projects that must be checked now, the longest due first.

  For some time no other process takes them: after that, the caller has probably died.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  how many at most
  ARGV[3]  ms for which no other process takes them

  Returns  {ms until the next one must be checked, -1 for never; project id...}
  Refuses  nothing
  Cost     O(taken * log projects)
]]
--- @include "clock"

local key, guard = KEYS[1] .. ':look', KEYS[2]
local now, count, lease = clock(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

redis.call('DEL', guard)
local ids = redis.call('ZRANGE', key, '-inf', now, 'BYSCORE', 'LIMIT', 0, count)
for _, id in ipairs(ids) do
  redis.call('ZADD', key, now + lease, id)
end
local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
return { first and math.max(0, math.ceil(first - now)) or -1, unpack(ids) }
