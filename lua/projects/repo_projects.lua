--[[ repo_projects: the projects of a git repository, with the secrets of their webhooks.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  full name of the repository, in lower case

  Returns  for each {project id, webhook secret}
  Refuses  nothing
  Cost     O(projects of the repository)
]]
local base = KEYS[1]

local rows = {}
for i, id in ipairs(redis.call('SMEMBERS', base .. ':repos:' .. ARGV[1])) do
  rows[i] = { id, redis.call('HGET', base .. ':project:' .. id, 'webhook_secret') or '' }
end
return rows
