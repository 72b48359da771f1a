--[[ worker_projects: where a worker was granted access. A hint only: the project's own script decides.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  worker id

  Returns  project ids
  Refuses  nothing
  Cost     O(projects)
]]
return redis.call('SMEMBERS', KEYS[1] .. ':worker:' .. ARGV[1] .. ':projects')
