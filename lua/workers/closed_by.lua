--[[ closed_by: how many tasks of a project each of some workers has closed.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1+] worker ids, 500 or fewer

  Returns  for each worker, in the order asked, the number
  Refuses  nothing
  Cost     O(workers)
]]
local base = KEYS[1]

local counts = {}
for _, key in ipairs({ ':closed', ':counting', ':counted' }) do
  for i, closed in ipairs(redis.call('HMGET', base .. key, unpack(ARGV))) do
    counts[i] = (counts[i] or 0) + (closed or 0)
  end
end
return counts
