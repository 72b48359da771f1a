--[[ worker_rows: workers with their counts in all projects, and when each was last seen.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1+] worker ids, 1 to 500

  Returns  for each, in the order asked, false, or {alias, created (unix s), paused ('0' or '1'), digest, how many
           tasks it had closed in the original tracker, closed, held and failed tasks, when it was last seen (unix s),
           what it reports about itself}; each of the last six is false for none
  Refuses  nothing
  Cost     O(workers)
]]
local base = KEYS[1]

local counts = {}
for n, name in ipairs({ 'worker-closed', 'worker-held', 'worker-failed', 'worker-seen' }) do
  counts[n] = redis.call('ZMSCORE', base .. ':' .. name, unpack(ARGV))
end
counts[5] = redis.call('HMGET', base .. ':worker-info', unpack(ARGV))

local rows = {}
for i, id in ipairs(ARGV) do
  local row = redis.call('HMGET', base .. ':worker:' .. id, 'alias', 'created', 'paused', 'digest', 'closed_before')
  for n, values in ipairs(counts) do
    row[5 + n] = values[i]
  end
  rows[i] = row[1] and row
end
return rows
