--- @include "task_of"
--- @include "put_back"
--- @include "wake"

-- reclaim_overdue(base, now, overdue): takes these members of `assigned`, one or more, from their workers. Answers how
-- many tasks wait again; the others had lost their record.
local function reclaim_overdue(base, now, overdue)
  redis.call('ZREM', base .. ':assigned', unpack(overdue))
  local tasks = {}
  for i, member in ipairs(overdue) do
    tasks[i] = task_of(member)
  end
  local fresh, voted, back = put_back(base, now, tasks, overdue)
  if back > 0 then
    redis.call('HINCRBY', base, 'reclaimed', back)
  end
  wake(base, redis.call('HGET', base, 'awaited'), now, fresh, voted)
  return back
end
