--[[ pending: projects of which a change may not have come everywhere yet.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  'unpushed' (its copy may be behind) or 'deleted' (something of it may be left)
  ARGV[2]  how many at most

  Returns  project ids
  Refuses  nothing
  Cost     O(projects)
]]
return redis.call('SRANDMEMBER', KEYS[1] .. ':' .. ARGV[1], ARGV[2])
