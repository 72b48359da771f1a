--[[ join_token_create: store the digest of a token with which workers join a project.

  Tokens that have expired are dropped. Tokens that are used up are dropped only if room is needed, since a worker may
  repeat the call of the last use.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  SHA-256 of the token, in hexadecimal
  ARGV[2]  what it gives: 'assign', 'submit' or 'assign,submit'
  ARGV[3]  how many workers may use it; '-' for any number
  ARGV[4]  seconds until it expires
  ARGV[5]  how many tokens a project may have
  ARGV[6]  now, unix ms; '' outside tests

  Returns  the token's id
  Refuses  NOT_FOUND, LIMIT_REACHED
  Cost     O(tokens)
]]
--- @include "project"
--- @include "clock"
--- @include "join_token"

local base, digest, may, uses, seconds, most = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local now = clock(ARGV[6])

if not project(base) then
  return redis.error_reply('NOT_FOUND No such project')
end
local tokens, over, spent = redis.call('HGETALL', base .. ':join_tokens'), {}, {}
for i = 1, #tokens, 2 do
  local token = join_token(tokens[i + 1])
  if not token or token.expires <= now then
    over[#over + 1] = tokens[i]
  elseif token.uses == '0' then
    spent[#spent + 1] = tokens[i]
  end
end
local left = #tokens / 2 - #over
if left - #spent >= most then
  return redis.error_reply('LIMIT_REACHED The project has ' .. most .. ' join tokens: revoke one')
end

local id = redis.call('HINCRBY', base, 'join_token', 1)
redis.call('HSET', base .. ':join_tokens', digest,
  string.format('%.0f %s %s %.0f', id, may, uses, now + seconds * 1000))
for _, gone in ipairs(over) do
  redis.call('HDEL', base .. ':join_tokens', gone)
end
for _, gone in ipairs(left >= most and spent or {}) do
  redis.call('HDEL', base .. ':join_tokens', gone)
end
return id
