--[[ worker_import: import workers of the original tracker, with their ids and secrets.

  A worker that was imported before is left as it is, also if it was changed or deleted here since. A worker whose id
  belongs to another worker here is not imported.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  the highest id of the whole import: new workers get ids above it
  ARGV[2+] six for each worker, at most 500 workers: id, alias, created (unix s), paused ('0' or '1'), SHA-256 of the
           secret in hexadecimal, how many tasks it had closed

  Returns  for each, in the order given: 1 imported, 0 imported or deleted before, -1 the id belongs to another worker
  Refuses  nothing
  Cost     O(workers * log workers)
]]
--- @include "worker_closed"

local base, highest = KEYS[1], tonumber(ARGV[1])
local outcomes = {}

if tonumber(redis.call('GET', base .. ':next-worker') or 0) < highest then
  redis.call('SET', base .. ':next-worker', ARGV[1])
end
for i = 2, #ARGV, 6 do
  local key, digest = base .. ':worker:' .. ARGV[i], ARGV[i + 4]
  local known = redis.call('HMGET', key, 'alias', 'imported')
  local is_new = not known[1] and redis.call('SISMEMBER', base .. ':deleted-workers', ARGV[i]) == 0
  if is_new then
    redis.call('HSET', key, 'alias', ARGV[i + 1], 'created', ARGV[i + 2], 'paused', ARGV[i + 3], 'digest', digest,
      'imported', digest, 'closed_before', ARGV[i + 5])
    add_closed(base, ARGV[i], 0)
  end
  outcomes[#outcomes + 1] = is_new and 1 or (not known[1] or known[2] == digest) and 0 or -1
end
return outcomes
