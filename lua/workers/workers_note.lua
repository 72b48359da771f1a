--[[ workers_note: give a total of closed tasks to workers that an older version created without one.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  first worker id
  ARGV[2]  last worker id, 500 workers at most

  Returns  1
  Refuses  nothing
  Cost     O(workers)
]]
--- @include "worker_closed"

local base, guard, first, last = KEYS[1], KEYS[2], tonumber(ARGV[1]), tonumber(ARGV[2])

redis.call('DEL', guard)
for n = first, last do
  local worker = string.format('%.0f', n)
  if not redis.call('ZSCORE', base .. ':worker-closed', worker)
    and redis.call('EXISTS', base .. ':worker:' .. worker) == 1 then
    add_closed(base, worker, 0)
  end
end
return 1
