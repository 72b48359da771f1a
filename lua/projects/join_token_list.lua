--[[ join_token_list: the join tokens of a project that have not expired.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests

  Returns  for each, in no order, {id, what it gives, uses left or '-' for no limit, when it expires (unix s)}
  Refuses  NOT_FOUND
  Cost     O(tokens)
]]
--- @include "project"
--- @include "clock"
--- @include "join_token"

local base = KEYS[1]
local now = clock(ARGV[1])

if not project(base) then
  return redis.error_reply('NOT_FOUND No such project')
end
local rows = {}
for _, text in ipairs(redis.call('HVALS', base .. ':join_tokens')) do
  local token = join_token(text)
  if token and token.expires > now then
    rows[#rows + 1] = { token.id, token.may, token.uses, math.floor(token.expires / 1000) }
  end
end
return rows
