--[[ requests_waiting: how many workers request access to the projects whose requests a manager may accept.

  The numbers are those of the last count.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  manager id

  Returns  {how many; the id of the project if all requests are for one project, else 0}
  Refuses  nothing
  Cost     O(1) for an admin, else O(projects with requests that the manager may accept)
]]
--- @include "role"

local base, manager = KEYS[1], ARGV[1]

if is_admin(base, manager) then
  local requests = (redis.call('HGET', base .. ':sum', 'now_requests') or 0)
    + (redis.call('HGET', base .. ':sum-hidden', 'now_requests') or 0)
  local projects = redis.call('ZRANGE', base .. ':requests', 0, 1)
  return { requests, #projects == 1 and tonumber(projects[1]) or 0 }
end

local own, requests = redis.call('HGETALL', base .. ':manager:' .. manager .. ':requests'), 0
for i = 2, #own, 2 do
  requests = requests + own[i]
end
return { requests, #own == 2 and tonumber(own[1]) or 0 }
