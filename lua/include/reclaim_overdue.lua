--- @include "assignment"
--- @include "wake"

-- reclaim_overdue(base, now, limit): takes up to `limit` tasks whose deadline has passed from their workers. Answers
-- how many, and how many of them wait again; the others had lost their record.
local function reclaim_overdue(base, now, limit)
  local overdue = redis.call('ZRANGE', base .. ':assigned', '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)
  if #overdue == 0 then
    return 0, 0
  end
  redis.call('ZREM', base .. ':assigned', unpack(overdue))
  local waits = { fresh = 0, voted = 0 }
  for _, member in ipairs(overdue) do
    local how = unassign(base, task_of(member))
    if how then
      waits[how] = waits[how] + 1
    end
  end
  local back = waits.fresh + waits.voted
  if back > 0 then
    redis.call('HINCRBY', base, 'reclaimed', back)
    wake(base, redis.call('HGET', base, 'awaited'), now, waits.fresh, waits.voted)
  end
  return #overdue, back
end
