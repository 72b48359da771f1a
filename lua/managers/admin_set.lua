--[[ admin_set: promote a manager to tracker admin, or demote one. It takes effect at once, also in open sessions.

  Managers cannot demote themselves, so there is always an admin left.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  id of the manager who calls; '' for the operator's shell
  ARGV[2]  id of the manager who is promoted or demoted
  ARGV[3]  '1' to promote, '0' to demote

  Returns  1
  Refuses  DENIED, NOT_FOUND
  Cost     O(1)
]]
--- @include "role"

local base, guard, asking, about = KEYS[1], KEYS[2], ARGV[1], ARGV[2]

if asking ~= '' and not is_admin(base, asking) then
  return redis.error_reply('DENIED Needs an admin')
end
if asking == about then
  return redis.error_reply('DENIED You cannot promote or demote yourself')
end
if redis.call('EXISTS', base .. ':manager:' .. about) == 0 then
  return redis.error_reply('NOT_FOUND No such manager')
end

redis.call('DEL', guard)
redis.call('HSET', base .. ':manager:' .. about, 'tracker_admin', ARGV[3])
return 1
