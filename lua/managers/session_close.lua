--[[ session_close: end a session: a manager signs out, or ends another session of theirs.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  SHA-256 of the cookie, in hexadecimal
  ARGV[2]  manager id: only a session of this manager ends; '' for any

  Returns  1 if there was such a session, else 0
  Refuses  nothing
  Cost     O(log sessions of the manager)
]]
local base, guard, digest, only = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local key = base .. ':session:' .. digest

redis.call('DEL', guard)
local manager = redis.call('HGET', key, 'manager')
if not manager or (only ~= '' and only ~= manager) then
  return 0
end
redis.call('DEL', key)
redis.call('ZREM', base .. ':manager:' .. manager .. ':sessions', digest)
return 1
