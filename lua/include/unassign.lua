--- @include "put_back"

-- unassign(base, tasks): tasks that have left `assigned` wait again. Answers as requeue.
local function unassign(base, tasks)
  if #tasks > 0 then
    redis.call('HDEL', base .. ':holders', unpack(tasks))
  end
  return put_back(base, tasks)
end
