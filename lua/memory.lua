--[[ memory: how full the server is that holds the directory.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard

  Returns  {used_memory, maxmemory}, bytes as text; {'', ''} when the server does not tell
  Refuses  nothing
  Cost     O(1)
]]
local info = redis.pcall('INFO', 'memory')
if type(info) ~= 'string' then
  return { '', '' }
end
return { string.match(info, '\nused_memory:(%d+)') or '', string.match(info, '\nmaxmemory:(%d+)') or '0' }
