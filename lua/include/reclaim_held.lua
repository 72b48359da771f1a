--- @include "task_of"
--- @include "put_back"
--- @include "set_counts"
--- @include "wake"

-- reclaim_held(base, now, members): takes these members of `:assigned`, one or more, from their workers, and counts the
-- reclaims: a task that was reclaimed more often than the project's `max_reclaims` fails. Returns how many tasks were
-- reclaimed; the others had no record.
local function reclaim_held(base, now, members)
  redis.call('ZREM', base .. ':assigned', unpack(members))
  local most, awaited = unpack(redis.call('HMGET', base, 'max_reclaims', 'awaited'))
  local tasks = {}
  for i, member in ipairs(members) do
    tasks[i] = task_of(member)
  end
  most = tonumber(most or 0)
  local fresh, voted, back = put_back(base, now, tasks, members, function(i, task, record, fields)
    fields.reclaims = fields.reclaims + 1
    set_counts(base, task, record, fields)
    if most > 0 and fields.reclaims > most then
      --- @include "fail_task"
      fail_task(base, task, string.sub(members[i], #task + 2), now, 'its workers never reported back')
      return true
    end
  end)
  if back > 0 then
    redis.call('HINCRBY', base, 'reclaimed', back)
  end
  wake(base, awaited, now, fresh, voted)
  return back
end
