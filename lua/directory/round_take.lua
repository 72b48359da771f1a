--[[ round_take: the next projects of an endless round over all projects, which all processes share.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  how many

  Returns  project ids; fewer if there are not so many projects
  Refuses  nothing
  Cost     O(log projects)
]]
local base, guard = KEYS[1], KEYS[2]
local key = base .. ':projects'
local projects = redis.call('ZCARD', key)
local count = math.min(tonumber(ARGV[1]), projects)

if count == 0 then
  return {}
end
redis.call('DEL', guard)
local first = tonumber(redis.call('GET', base .. ':round') or 0) % projects
redis.call('SET', base .. ':round', (first + count) % projects)
local ids = redis.call('ZRANGE', key, first, first + count - 1)
if #ids < count then
  for _, id in ipairs(redis.call('ZRANGE', key, 0, count - #ids - 1)) do
    ids[#ids + 1] = id
  end
end
return ids
