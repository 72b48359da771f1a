--[[ project_chain: set the chain of an imported project, once the project that it names exists.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  project id

  Returns  1 if the chain was set, 0 if none was noted or it was set before
  Refuses  NOT_FOUND, INVALID
  Cost     O(length of the chain)
]]
--- @include "configure"
--- @include "makes_circle"

local base, guard, id = KEYS[1], KEYS[2], ARGV[1]
local key = base .. ':project:' .. id

local noted = redis.call('HMGET', key, 'imported_chain', 'revision')
local chain = noted[1]
if not chain then
  return 0
end
if redis.call('EXISTS', base .. ':project:' .. chain) == 0 then
  return redis.error_reply('NOT_FOUND chain: the project that it names does not exist')
end
if makes_circle(base, id, chain) then
  return redis.error_reply('INVALID chain: chains must not form a circle')
end

redis.call('DEL', guard)
configure(base, id, { revision = noted[2] }, { chain = chain })
redis.call('HDEL', key, 'imported_chain')
return 1
