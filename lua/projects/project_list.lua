--[[ project_list: projects with their configuration, best priority first, a page at a time.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  manager id, '' for nobody
  ARGV[2]  offset
  ARGV[3]  how many, 500 or fewer

  Returns  for each project {id, role bits, {field, value...}}
  Refuses  nothing
  Cost     O(projects * fields)
]]
--- @include "role"

local base, manager, offset, count = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local rows = {}
for i, id in ipairs(redis.call('ZREVRANGE', base .. ':projects', offset, offset + count - 1)) do
  rows[i] = { id, roles_of(base, manager, id), redis.call('HGETALL', base .. ':project:' .. id) }
end
return rows
