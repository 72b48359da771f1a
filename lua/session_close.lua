--[[ session_close: a manager has signed out.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  SHA-256 of the cookie, in hexadecimal

  Returns  1 when there was such a session, else 0
  Refuses  nothing
  Cost     O(log sessions of the manager)
]]
local base, guard, digest = KEYS[1], KEYS[2], ARGV[1]
local key = base .. ':session:' .. digest

redis.call('DEL', guard)
local manager = redis.call('HGET', key, 'manager')
if not manager then
  return 0
end
redis.call('DEL', key)
redis.call('ZREM', base .. ':manager:' .. manager .. ':sessions', digest)
return 1
