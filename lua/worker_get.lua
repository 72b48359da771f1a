--[[ worker_get: the records of workers.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1+] worker ids, at most 500

  Returns  for each, in the order asked, {alias, created (unix s), paused ('0' or '1'), digest}, or false
  Refuses  nothing
  Cost     O(workers)
]]
local base = KEYS[1]

local rows = {}
for i, id in ipairs(ARGV) do
  local row = redis.call('HMGET', base .. ':worker:' .. id, 'alias', 'created', 'paused', 'digest')
  rows[i] = row[1] and row
end
return rows
