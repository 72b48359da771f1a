--- @include "delete_task"

-- drop_orphan(base, task): the record of a task is gone (an eviction, a hand in redis-cli), and with it the task. The
-- caller takes it off the set in which it found it; here its votes go, and it is counted. Only the record knew its
-- hash: that stays taken.
local function drop_orphan(base, task)
  delete_task(base, task)
  redis.call('SREM', base .. ':voted', task)
  redis.call('HINCRBY', base, 'orphaned', 1)
end
