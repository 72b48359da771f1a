--[[ layout: the version of the key layout, which the first start notes, and whether there is an account.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  the layout that this broker knows

  Returns  {the layout of this data, 1 when there is an account, else 0}
  Refuses  nothing
  Cost     O(1)
]]
local base, guard = KEYS[1], KEYS[2]

redis.call('DEL', guard)
redis.call('SET', base .. ':layout', ARGV[1], 'NX')
return { tonumber(redis.call('GET', base .. ':layout')), redis.call('EXISTS', base .. ':usernames') }
