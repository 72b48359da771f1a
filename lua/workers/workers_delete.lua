--[[ workers_delete: delete workers. Their credentials are invalid at once, and their ids are not used again.

  They stay in `:leaving-workers` until what is left of them in projects is removed.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1+] worker ids, 500 or fewer

  Returns  how many of them existed
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
