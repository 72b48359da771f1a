--[[ authorize: check that a manager has a role on a project.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  manager id
  ARGV[2]  project id
  ARGV[3]  the role's bit
  ARGV[4]  the role's name

  Returns  the bits of all roles that the manager has there
  Refuses  NOT_FOUND, DENIED
  Cost     O(1)
]]
--- @include "role"

local base, manager, id, bit, name = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]

if redis.call('EXISTS', base .. ':project:' .. id) == 0 then
  return redis.error_reply('NOT_FOUND No such project')
end
local bits = roles_of(base, manager, id)
if not has_bit(bits, bit) then
  return redis.error_reply('DENIED Needs the ' .. name .. ' role on the project')
end
return bits
