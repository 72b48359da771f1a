--- @include "delete_records"
--- @include "delete_recipes"
--- @include "votes"

-- drop_orphans(base, tasks): the records of these tasks are gone (an eviction, a hand in redis-cli), and with them the
-- tasks. The caller takes them off the set in which it found them; here their votes and retries go, and they are
-- counted. Only the record knew the hash: that stays taken.
local function drop_orphans(base, tasks)
  if #tasks == 0 then
    return
  end
  delete_votes(base, tasks)
  delete_records(base, tasks)
  delete_recipes(base, tasks)
  redis.call('HDEL', base .. ':holders', unpack(tasks))
  redis.call('HINCRBY', base, 'orphaned', #tasks)
end
