--- @include "delete_records"
--- @include "votes"

-- delete_tasks(base, tasks): deletes all that there is of up to 500 tasks, but for the set that they are in, and their
-- hashes.
local function delete_tasks(base, tasks)
  if #tasks == 0 then
    return
  end
  local recipes = {}
  for i, task in ipairs(tasks) do
    recipes[i] = base .. ':recipe:' .. task
  end
  delete_votes(base, tasks)
  delete_records(base, tasks)
  redis.call('DEL', unpack(recipes))
  redis.call('HDEL', base .. ':holders', unpack(tasks))
  redis.call('HDEL', base .. ':errors', unpack(tasks))
end
