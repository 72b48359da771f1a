--[[ project_ids: all projects by priority, or by their unfinished tasks, the most first, a page at a time.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  'projects', or 'busy'
  ARGV[2]  offset
  ARGV[3]  how many

  Returns  {how many there are; for each its id, and '1' or '0' for public and for hidden}
  Refuses  nothing
  Cost     O(projects)
]]
local base, offset, count = KEYS[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local key = base .. ':' .. ARGV[1]

local row = { redis.call('ZCARD', key) }
for _, id in ipairs(redis.call('ZREVRANGE', key, offset, offset + count - 1)) do
  row[#row + 1] = id
  local flags = redis.call('HMGET', base .. ':project:' .. id, 'public', 'hidden')
  row[#row + 1] = flags[1] or '0'
  row[#row + 1] = flags[2] or '0'
end
return row
