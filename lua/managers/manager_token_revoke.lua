--[[ manager_token_revoke: end a token of a manager.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  manager id
  ARGV[2]  the token's id
  ARGV[3]  how many tokens a manager may have: the bound of the search

  Returns  1 if there was such a token, else 0
  Refuses  nothing
  Cost     O(tokens of the manager)
]]
local base, guard, id, most = KEYS[1], KEYS[2], ARGV[2], tonumber(ARGV[3])
local tokens = base .. ':manager:' .. ARGV[1] .. ':tokens'

for _, digest in ipairs(redis.call('ZRANGE', tokens, 0, most - 1)) do
  local key = base .. ':token:' .. digest
  if redis.call('HGET', key, 'id') == id then
    redis.call('DEL', guard)
    redis.call('DEL', key)
    redis.call('ZREM', tokens, digest)
    return 1
  end
end
return 0
