--[[ session_get: who is signed in with a cookie, as he is now: a change of his account holds at once.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  SHA-256 of the cookie, in hexadecimal

  Returns  {manager id, username, tracker_admin ('0' or '1'), register time (unix s)}, or an empty list: nobody
  Refuses  nothing
  Cost     O(1)
]]
local base = KEYS[1]

local manager = redis.call('HGET', base .. ':session:' .. ARGV[1], 'manager')
if not manager then
  return {}
end
local fields = redis.call('HMGET', base .. ':manager:' .. manager, 'username', 'tracker_admin', 'register_time')
return fields[1] and { manager, unpack(fields, 1, 3) } or {}
