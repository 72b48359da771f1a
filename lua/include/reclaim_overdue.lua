--- @include "task_of"
--- @include "put_back"
--- @include "wake"

-- reclaim_overdue(base, now, limit): takes up to `limit` tasks whose deadline has passed from their workers. Answers
-- how many, and how many of them wait again; the others had lost their record.
local function reclaim_overdue(base, now, limit)
  local overdue = redis.call('ZRANGE', base .. ':assigned', '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)
  if #overdue == 0 then
    return 0, 0
  end
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
  return #tasks, back
end
