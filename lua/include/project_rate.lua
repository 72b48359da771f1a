-- The rates of a project, most of which are 0: without one, a script makes nothing for it.

-- wait_for_rate(rate, paid_off, now_us): as rate_wait, for the fields of a project.
local function wait_for_rate(rate, paid_off, now_us)
  if not rate or rate == '0' then
    return 0
  end
  --- @include "rate"
  return rate_wait(rate, paid_off, now_us)
end

-- charge_rate(base, field, ...): takes `tasks` from the rate. A batch is charged whole: those after it wait.
local function charge_rate(base, field, rate, paid_off, now_us, tasks)
  if not rate or rate == '0' or tasks == 0 then
    return
  end
  --- @include "rate"
  redis.call('HSET', base, field, rate_note(rate, paid_off, now_us, tasks))
end
