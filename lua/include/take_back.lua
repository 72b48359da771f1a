--- @include "task_of"
--- @include "put_back"
--- @include "wake"

-- take_back(base, now, members, awaited): the tasks of these members of `:assigned` wait again, whatever their
-- deadline; that does not count against `max_reclaims`. Returns how many.
local function take_back(base, now, members, awaited)
  local back = 0
  for from = 1, #members, 500 do
    local some, tasks = { unpack(members, from, math.min(from + 499, #members)) }, {}
    for i, member in ipairs(some) do
      tasks[i] = task_of(member)
    end
    redis.call('ZREM', base .. ':assigned', unpack(some))
    local fresh, voted, waiting = put_back(base, now, tasks, some)
    wake(base, awaited, now, fresh, voted)
    back = back + waiting
  end
  if back > 0 then
    redis.call('HINCRBY', base, 'reclaimed', back)
  end
  return back
end
