--[[ closed_by: how many tasks of a project workers have closed, and how often they have failed one.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1+] fields: a worker's id for what it has closed, `-` and the id for what it has failed; 1,000 or fewer

  Returns  for each field, in the order asked, the number
  Refuses  nothing
  Cost     O(fields)
]]
local base = KEYS[1]

local counts = {}
for _, key in ipairs({ ':closed', ':counting', ':counted' }) do
  for i, closed in ipairs(redis.call('HMGET', base .. key, unpack(ARGV))) do
    counts[i] = (counts[i] or 0) + (closed or 0)
  end
end
return counts
