--[[ deleted: projects that are gone from the directory, but not yet from everywhere.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  how many at most

  Returns  project ids
  Refuses  nothing
  Cost     O(projects)
]]
return redis.call('SRANDMEMBER', KEYS[1] .. ':deleted', ARGV[1])
