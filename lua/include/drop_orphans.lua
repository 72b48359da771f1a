--- @include "delete_tasks"

-- drop_orphans(base, tasks): the records of these tasks are gone (an eviction, a hand in redis-cli), and with them the
-- tasks. The caller takes them off the set in which it found them; here what is left of them goes, and they are
-- counted. Only the record knew the hash: that stays taken.
local function drop_orphans(base, tasks)
  if #tasks > 0 then
    delete_tasks(base, tasks)
    redis.call('HINCRBY', base, 'orphaned', #tasks)
  end
end
