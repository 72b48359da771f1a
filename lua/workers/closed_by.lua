--[[ closed_by: how many tasks of a project these workers have closed.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1+] worker ids, at most 500

  Returns  for each, in the order asked, how many, or false for none
  Refuses  nothing
  Cost     O(workers)
]]
return redis.call('HMGET', KEYS[1] .. ':closed', unpack(ARGV))
