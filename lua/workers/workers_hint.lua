--[[ workers_hint: note that workers have access to a project, as worker_hint does for one.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  project id
  ARGV[2+] worker ids, 500 or fewer

  Returns  those of the workers that exist
  Refuses  nothing
  Cost     O(workers)
]]
local base, guard, project = KEYS[1], KEYS[2], ARGV[1]

local there = {}
redis.call('DEL', guard)
for i = 2, #ARGV do
  local key = base .. ':worker:' .. ARGV[i]
  if redis.call('EXISTS', key) == 1 then
    redis.call('SADD', key .. ':projects', project)
    there[#there + 1] = ARGV[i]
  end
end
return there
