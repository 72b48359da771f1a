--- @include "delete_tasks"

-- drop_orphans(base, tasks): deletes what is left of tasks without a record (an eviction, somebody with redis-cli), and
-- counts them. The caller removes them from the set in which it found them. Only the record had the hash, so the hash
-- stays taken.
local function drop_orphans(base, tasks)
  if #tasks > 0 then
    delete_tasks(base, tasks)
    redis.call('HINCRBY', base, 'orphaned', #tasks)
  end
end
