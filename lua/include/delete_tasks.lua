--- @include "delete_records"
--- @include "votes"

-- delete_tasks(base, tasks): deletes everything of up to 500 tasks except their hashes and their entries in the sets of
-- states.
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
