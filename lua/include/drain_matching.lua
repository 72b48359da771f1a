--- @include "find_matching"
--- @include "remove_found"
--- @include "retry"

-- drain_matching(base, now, n, text, limit): a step of the maintenance call `n`, for which `:drains` has this text:
-- looks at up to `limit` tasks, and retries or removes those that match, at most a third as many: a change takes longer
-- than a look. At the end, their number is kept for a minute. Returns how many tasks it has looked at, and for how many
-- tasks without and with votes a worker can be woken.
local function drain_matching(base, now, n, text, limit)
  local operation, entry, last, count, state, worker, group, contains = string.match(text,
    '^(%a+_tasks) (%d+) (%d+) (%d+) (%S+) (%S+) @([^\n]*)\n(.*)$')
  local filter = { state = state, contains = contains, group = group, worker = worker == '-' and '' or worker }
  local walk = { step = 1, entry = tonumber(entry or 1), last = tonumber(last or 0), looks = limit }
  local tasks, places = {}, {}
  for i, one in ipairs(find_matching(base, filter, walk, math.ceil(limit / 3))) do
    tasks[i], places[i] = one.task, one.place
  end
  local fresh, voted, changed = 0, 0, #tasks
  if #tasks > 0 and operation == 'remove_tasks' then
    remove_found(base, now, tasks, places)
  elseif #tasks > 0 then
    redis.call('ZREM', base .. ':failed', unpack(tasks))
    fresh, voted, changed = retry(base, now, tasks)
  end
  changed = tonumber(count or 0) + changed
  if walk.entry then
    redis.call('HSET', base .. ':drains', n, string.format('%s %.0f %s %d %s %s @%s\n', operation, walk.entry, last,
      changed, state, worker, group) .. contains)
  else
    redis.call('HDEL', base .. ':drains', n)
    redis.call('SET', base .. ':drain:' .. n .. ':affected', changed, 'EX', 60)
  end
  return walk.looked, fresh, voted
end
