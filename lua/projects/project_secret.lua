--[[ project_secret: set the secret that workers read, or the key that signs webhooks or events.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  manager id
  ARGV[2]  project id
  ARGV[3]  'secret', 'webhook_secret' or 'notify_secret'
  ARGV[4]  the new value

  Returns  1
  Refuses  NOT_FOUND, DENIED
  Cost     O(1)
]]
--- @include "role"

local base, guard, manager, id = KEYS[1], KEYS[2], ARGV[1], ARGV[2]

if redis.call('EXISTS', base .. ':project:' .. id) == 0 then
  return redis.error_reply('NOT_FOUND No such project')
end
if not has_bit(roles_of(base, manager, id), SECRET) then
  return redis.error_reply('DENIED Needs the SECRET role on the project')
end
redis.call('DEL', guard)
redis.call('HSET', base .. ':project:' .. id, ARGV[3], ARGV[4])
return 1
