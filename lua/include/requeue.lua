--- @include "ids"
--- @include "votes"

-- requeue(base, tasks, all_fields): puts tasks that are nowhere at the END of their priority, so that a task that
-- always fails blocks no other. They take new, larger places: what `unvoted` knows of `verifying` relies on that. The
-- fields are those of their records. Answers how many wait now without and with votes.
local function requeue(base, tasks, all_fields)
  if #tasks == 0 then
    return 0, 0
  end
  local fresh, voted = {}, {}
  local place = redis.call('HINCRBY', base, 'place', #tasks) - #tasks
  for i, task in ipairs(tasks) do
    local fields = all_fields[i]
    local list = holds_votes(base, task, fields) and voted or fresh
    list[#list + 1] = score_of(fields.priority, math.min(place + i, LAST_PLACE))
    list[#list + 1] = task
  end
  if #fresh > 0 then
    redis.call('ZADD', base .. ':queue', unpack(fresh))
  end
  if #voted > 0 then
    redis.call('ZADD', base .. ':verifying', unpack(voted))
  end
  return #fresh / 2, #voted / 2
end
