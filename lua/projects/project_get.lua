--[[ project_get: the configuration of a project, and the roles of a manager on it.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  project id
  ARGV[2]  manager id, '' for nobody

  Returns  {role bits, {field, value...}}
  Refuses  NOT_FOUND
  Cost     O(fields)
]]
--- @include "role"

local base, id, manager = KEYS[1], ARGV[1], ARGV[2]

local fields = redis.call('HGETALL', base .. ':project:' .. id)
if #fields == 0 then
  return redis.error_reply('NOT_FOUND No such project')
end
return { roles_of(base, manager, id), fields }
