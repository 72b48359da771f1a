--[[ session_get: the manager who is signed in with a cookie. It is read at each call: changes take effect at once.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  SHA-256 of the cookie, in hexadecimal
  ARGV[2]  now, unix ms; '' outside tests

  Returns  {manager id, username, tracker_admin ('0' or '1'), register time (unix s)}, or an empty list: nobody
  Refuses  nothing
  Cost     O(1)
]]
--- @include "clock"

local base, digest = KEYS[1], ARGV[1]

local manager = redis.call('HGET', base .. ':session:' .. digest, 'manager')
local ends = manager and redis.call('ZSCORE', base .. ':manager:' .. manager .. ':sessions', digest)
if not ends or tonumber(ends) <= clock(ARGV[2]) then
  return {}
end
local fields = redis.call('HMGET', base .. ':manager:' .. manager, 'username', 'tracker_admin', 'register_time')
return fields[1] and { manager, unpack(fields, 1, 3) } or {}
