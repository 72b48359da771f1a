-- The rates of a project. Most are 0: then a script creates no functions for them.

-- wait_for_rate(rate, paid_off, now_us): as rate_wait, for the fields of a project.
local function wait_for_rate(rate, paid_off, now_us)
  if not rate or rate == '0' then
    return 0
  end
  --- @include "rate"
  return rate_wait(rate, paid_off, now_us)
end

-- charge_rate(base, field, ...): charges `tasks` to the rate. A batch is charged as a whole: calls after it must wait.
local function charge_rate(base, field, rate, paid_off, now_us, tasks)
  if not rate or rate == '0' or tasks == 0 then
    return
  end
  --- @include "rate"
  redis.call('HSET', base, field, rate_note(rate, paid_off, now_us, tasks))
end
