--[[ worker_get: the records of workers, and the version, which changes when cached records become stale.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1+] worker ids, at most 500; none to read the version alone

  Returns  {version, record...}: for each worker, in the order asked, {alias, created (unix s), paused ('0' or '1'),
           digest, how many tasks it had closed in the original tracker or false}, or false
  Refuses  nothing
  Cost     O(workers)
]]
local base = KEYS[1]

local rows = { tonumber(redis.call('GET', base .. ':version') or 0) }
for i, id in ipairs(ARGV) do
  local row = redis.call('HMGET', base .. ':worker:' .. id, 'alias', 'created', 'paused', 'digest',
    'closed_before')
  rows[i + 1] = row[1] and row
end
return rows
