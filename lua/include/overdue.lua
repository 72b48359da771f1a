--- @include "hold"

-- reclaim(base, now, limit): gives back up to `limit` tasks whose deadline has passed, and answers how many.
local function reclaim(base, now, limit)
  local overdue = redis.call('ZRANGE', base .. ':assigned', '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)
  for _, task in ipairs(overdue) do
    give_back(base, task, redis.call('HGET', base .. ':task:' .. task, 'assignee'))
  end
  if #overdue > 0 then
    redis.call('HINCRBY', base .. ':counters', 'reclaimed', #overdue)
  end
  return #overdue
end
