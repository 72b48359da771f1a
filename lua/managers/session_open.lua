--[[ session_open: a manager has signed in, with the password that is still his.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  manager id
  ARGV[2]  SHA-256 of the cookie, in hexadecimal
  ARGV[3]  SHA-256 of the cookie that the browser had before, '' for none: that session ends
  ARGV[4]  seconds until the session ends by itself
  ARGV[5]  now, unix ms; '' outside tests
  ARGV[6]  argon2id hash that the password was held against

  Returns  1, or 0 when the password was changed meanwhile: no session
  Refuses  NOT_FOUND
  Cost     O(sessions of the manager that have ended)
]]
--- @include "clock"

local base, guard, manager, digest, previous, seconds = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local now, proven = clock(ARGV[5]), ARGV[6]
local sessions = base .. ':manager:' .. manager .. ':sessions'

local password = redis.call('HGET', base .. ':manager:' .. manager, 'password')
if not password then
  return redis.error_reply('NOT_FOUND No such manager')
end
if password ~= proven then
  return 0
end

redis.call('DEL', guard)
redis.call('HSET', base .. ':session:' .. digest, 'manager', manager, 'created', math.floor(now / 1000))
redis.call('EXPIRE', base .. ':session:' .. digest, seconds)
redis.call('ZREMRANGEBYSCORE', sessions, '-inf', now)
redis.call('ZADD', sessions, now + seconds * 1000, digest)
if previous ~= '' then
  redis.call('DEL', base .. ':session:' .. previous)
  redis.call('ZREM', sessions, previous)
end
return 1
