-- is_for_others(base, task, worker, now): whether a task that has failed or was reclaimed before is left to other
-- workers, since this one was the last to fail it. nil: the project leaves none to others.
local function is_for_others(base, task, worker, now)
  if (redis.call('HGET', base, 'retry_delay') or '0') == '0' then
    return nil
  end
  local by, failed, elsewhere = string.match(redis.call('HGET', base .. ':errors', task) or '', '^(%d+) (%d+) (%d+) ')
  -- If it failed later than now, the clock was set back.
  return by == worker and now < tonumber(elsewhere) and now > failed * 1000 - 1000
end
