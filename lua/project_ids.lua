--[[ project_ids: all projects, best priority first, a page at a time.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  offset
  ARGV[2]  how many

  Returns  ids and whether they are public: id, '1' or '0', id, ...
  Refuses  nothing
  Cost     O(projects)
]]
local base, offset, count = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])

local row = {}
for _, id in ipairs(redis.call('ZREVRANGE', base .. ':projects', offset, offset + count - 1)) do
  row[#row + 1] = id
  row[#row + 1] = redis.call('HGET', base .. ':project:' .. id, 'public') or '0'
end
return row
