--[[ roles_list: the managers with a role on a project.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  project id

  Returns  for each manager with a role {manager id, username, tracker_admin, register time (unix s), bits}
  Refuses  NOT_FOUND
  Cost     O(managers with a role)
]]
local base, id = KEYS[1], ARGV[1]

if redis.call('EXISTS', base .. ':project:' .. id) == 0 then
  return redis.error_reply('NOT_FOUND No such project')
end
local rows, roles = {}, redis.call('HGETALL', base .. ':roles:' .. id)
for i = 1, #roles, 2 do
  local fields = redis.call('HMGET', base .. ':manager:' .. roles[i], 'username', 'tracker_admin', 'register_time')
  rows[#rows + 1] = { roles[i], fields[1], fields[2], fields[3], roles[i + 1] }
end
return rows
