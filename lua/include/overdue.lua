--- @include "hold"
--- @include "wake"

-- reclaim(base, now, limit): gives back up to `limit` tasks whose deadline has passed, and answers how many.
local function reclaim(base, now, limit)
  local overdue = redis.call('ZRANGE', base .. ':assigned', '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)
  if #overdue == 0 then
    return 0
  end
  redis.call('ZREM', base .. ':assigned', unpack(overdue))
  local voted = 0
  for _, member in ipairs(overdue) do
    voted = voted + (give_back(base, (holder(member))) and 1 or 0)
  end
  redis.call('HINCRBY', base, 'reclaimed', #overdue)
  wake(base, redis.call('HGET', base, 'awaited'), now, #overdue - voted, voted)
  return #overdue
end
