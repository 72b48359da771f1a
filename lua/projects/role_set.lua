--[[ role_set: set the roles of a manager on a project. A manager can add and remove only roles that they have.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  id of the manager who calls
  ARGV[2]  project id
  ARGV[3]  id of the manager whose roles are set
  ARGV[4]  the new bits, 0 to 31

  Returns  1
  Refuses  NOT_FOUND, DENIED
  Cost     O(1)
]]
--- @include "note_requests"
--- @include "role"

local base, guard, asking, id, about = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3]
local wanted = tonumber(ARGV[4])
local key = base .. ':roles:' .. id

if redis.call('EXISTS', base .. ':project:' .. id) == 0 then
  return redis.error_reply('NOT_FOUND No such project')
end
local own = roles_of(base, asking, id)
if not has_bit(own, MANAGE_ACCESS) then
  return redis.error_reply('DENIED Needs the MANAGE_ACCESS role on the project')
end
if redis.call('EXISTS', base .. ':manager:' .. about) == 0 then
  return redis.error_reply('NOT_FOUND manager: no such manager')
end
local before = tonumber(redis.call('HGET', key, about) or 0)
for _, bit in ipairs({ READ, EDIT, MANAGE_ACCESS, SECRET, MAINTENANCE }) do
  if has_bit(before, bit) ~= has_bit(wanted, bit) and not has_bit(own, bit) then
    return redis.error_reply('DENIED role: you can add or remove only roles that you have yourself')
  end
end

redis.call('DEL', guard)
if wanted == 0 then
  redis.call('HDEL', key, about)
else
  redis.call('HSET', key, about, wanted)
end
local requests = tonumber(redis.call('HGET', base .. ':counts:' .. id, 'now_requests') or 0)
note_requests(base, id, requests, about, wanted)
return 1
