--[[ session_open: open a session for a manager who has signed in, if the password is still valid.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  manager id
  ARGV[2]  SHA-256 of the cookie, in hexadecimal
  ARGV[3]  SHA-256 of the cookie that the browser had before, whose session ends; '' for none
  ARGV[4]  seconds until the session ends by itself
  ARGV[5]  now, unix ms; '' outside tests
  ARGV[6]  argon2id hash with which the password was verified
  ARGV[7]  how many sessions a manager may have; beyond that the oldest end, at most so many in one call
  ARGV[8]  address of the call
  ARGV[9]  the browser's User-Agent

  Returns  1, or 0 if the password was changed meanwhile: then there is no session
  Refuses  NOT_FOUND
  Cost     O(sessions of the manager that have ended or end now)
]]
--- @include "clock"

local base, guard, manager, digest, previous, seconds = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local now, proven = clock(ARGV[5]), ARGV[6]
local most = tonumber(ARGV[7])
local sessions = base .. ':manager:' .. manager .. ':sessions'

local password = redis.call('HGET', base .. ':manager:' .. manager, 'password')
if not password then
  return redis.error_reply('NOT_FOUND No such manager')
end
if password ~= proven then
  return 0
end

redis.call('DEL', guard)
redis.call('ZREMRANGEBYSCORE', sessions, '-inf', now)
if previous ~= '' then
  redis.call('DEL', base .. ':session:' .. previous)
  redis.call('ZREM', sessions, previous)
end
local too_many = math.min(redis.call('ZCARD', sessions) + 1 - most, most)
if too_many > 0 then
  for i, value in ipairs(redis.call('ZPOPMIN', sessions, too_many)) do
    if i % 2 == 1 then
      redis.call('DEL', base .. ':session:' .. value)
    end
  end
end
redis.call('HSET', base .. ':session:' .. digest, 'manager', manager, 'created', math.floor(now / 1000), 'address',
  ARGV[8], 'browser', ARGV[9])
redis.call('EXPIRE', base .. ':session:' .. digest, seconds)
redis.call('ZADD', sessions, now + seconds * 1000, digest)
return 1
