--[[ manager_token_create: store the digest of a token with which a program acts as a manager.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  manager id
  ARGV[2]  SHA-256 of the cookie of the call: a session that has ended creates nothing
  ARGV[3]  SHA-256 of the token, in hexadecimal
  ARGV[4]  name
  ARGV[5]  seconds until it expires
  ARGV[6]  how many tokens a manager may have
  ARGV[7]  now, unix ms; '' outside tests

  Returns  the token's id, which counts up for each manager
  Refuses  NOT_LOGGED_IN, LIMIT_REACHED
  Cost     O(tokens of the manager that have expired)
]]
--- @include "clock"

local base, guard, manager, cookie, digest, name = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local seconds, most, now = tonumber(ARGV[5]), tonumber(ARGV[6]), clock(ARGV[7])
local tokens, expires = base .. ':manager:' .. manager .. ':tokens', now + seconds * 1000

if redis.call('HGET', base .. ':session:' .. cookie, 'manager') ~= manager then
  return redis.error_reply('NOT_LOGGED_IN The session has ended')
end
if redis.call('ZCOUNT', tokens, string.format('(%.0f', now), '+inf') >= most then
  return redis.error_reply('LIMIT_REACHED You have as many tokens as one may: revoke one')
end

local id = redis.call('HINCRBY', base .. ':manager:' .. manager, 'last_token', 1)
redis.call('DEL', guard)
redis.call('ZREMRANGEBYSCORE', tokens, '-inf', now)
redis.call('HSET', base .. ':token:' .. digest, 'manager', manager, 'id', id, 'name', name, 'used', 0)
redis.call('EXPIRE', base .. ':token:' .. digest, seconds)
redis.call('ZADD', tokens, expires, digest)
return id
