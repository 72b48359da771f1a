--[[ workers_delete: workers end: their credentials at once, and their ids are not given to others.

  What is left of them in projects is still to be removed: `:leaving-workers` has them until then.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1+] worker ids, 500 or fewer

  Returns  how many of them there were
  Refuses  nothing
  Cost     O(workers * log workers)
]]
--- @include "delete_worker"

local base, guard = KEYS[1], KEYS[2]

local deleted = 0
redis.call('DEL', guard)
for _, worker in ipairs(ARGV) do
  deleted = deleted + delete_worker(base, worker)
end
if deleted > 0 then
  redis.call('INCR', base .. ':version')
end
return deleted
