--[[ access_of: the access that a worker has to a project.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  worker id

  Returns  'assign', 'submit', 'assign,submit', or '' for nothing
  Refuses  NOT_FOUND
  Cost     O(1)
]]
--- @include "project"

local base, worker = KEYS[1], ARGV[1]

if not project(base) then
  return redis.error_reply('NOT_FOUND No such project')
end
return redis.call('HGET', base .. ':access', worker) or ''
