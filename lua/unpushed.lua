--[[ unpushed: projects whose copy may be behind their configuration.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  how many at most

  Returns  project ids
  Refuses  nothing
  Cost     O(projects)
]]
return redis.call('SRANDMEMBER', KEYS[1] .. ':unpushed', ARGV[1])
