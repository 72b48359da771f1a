--[[ join_token_revoke: end a join token. Workers that have joined with it keep their access.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  the token's id

  Returns  1
  Refuses  NOT_FOUND
  Cost     O(tokens)
]]
--- @include "project"
--- @include "join_token"

local base, guard, id = KEYS[1], KEYS[2], ARGV[1]

if not project(base) then
  return redis.error_reply('NOT_FOUND No such project')
end
local tokens, digest = redis.call('HGETALL', base .. ':join_tokens'), nil
for i = 1, #tokens, 2 do
  local token = join_token(tokens[i + 1])
  if token and token.id == id then
    digest = tokens[i]
  end
end
if not digest then
  return redis.error_reply('NOT_FOUND The project has no join token with this id')
end

redis.call('DEL', guard)
redis.call('HDEL', base .. ':join_tokens', digest)
return 1
