--[[ manager_token_get: the manager of a token. Its last use is noted to the minute.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  SHA-256 of the token, in hexadecimal
  ARGV[2]  now, unix ms; '' outside tests

  Returns  {manager id, username, tracker_admin ('0' or '1'), register time (unix s)}, or an empty list: no such token
  Refuses  nothing
  Cost     O(1)
]]
--- @include "clock"

local base, guard, digest, now = KEYS[1], KEYS[2], ARGV[1], clock(ARGV[2])
local key = base .. ':token:' .. digest

local token = redis.call('HMGET', key, 'manager', 'used')
local manager, used = token[1], token[2]
local expires = manager and redis.call('ZSCORE', base .. ':manager:' .. manager .. ':tokens', digest)
if not expires or tonumber(expires) <= now then
  return {}
end
local fields = redis.call('HMGET', base .. ':manager:' .. manager, 'username', 'tracker_admin', 'register_time')
if not fields[1] then
  return {}
end
-- If the clock is earlier than the note, it was set back.
local since = math.floor(now / 1000) - tonumber(used or 0)
if since >= 60 or since < 0 then
  redis.call('DEL', guard)
  redis.call('HSET', key, 'used', math.floor(now / 1000))
end
return { manager, unpack(fields, 1, 3) }
