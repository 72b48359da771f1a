-- GCRA in microseconds. `rate` is the project's field, tasks a second, 0 for unlimited; `paid_off` the other one, which
-- says when what was let through so far is paid off.
local function interval_of(rate)
  return math.min(1000000 / rate, 1e15)
end

-- rate_wait(...): microseconds until one more task is allowed, 0 when it is now. `burst`: how many may come at once.
local function rate_wait(rate, paid_off, now_us, burst)
  rate = tonumber(rate or 0)
  if rate == 0 then
    return 0
  end
  -- With a burst of 1, a rate of 5,000 admits 2,000: calls come in ticks.
  burst = burst or math.max(1, rate * 0.01)
  return math.max(0, math.ceil(tonumber(paid_off or 0) - (burst - 1) * interval_of(rate) - now_us))
end

-- rate_paid_off(...): when `tasks` more will be paid off.
local function rate_paid_off(rate, paid_off, now_us, tasks)
  return math.max(tonumber(paid_off or 0), now_us) + tasks * interval_of(rate)
end

-- rate_charge(base, field, ...): takes `tasks` from the rate. A batch is charged whole: those after it wait.
local function rate_charge(base, field, rate, paid_off, now_us, tasks)
  rate = tonumber(rate or 0)
  if rate > 0 and tasks > 0 then
    redis.call('HSET', base, field, string.format('%.0f', rate_paid_off(rate, paid_off, now_us, tasks)))
  end
end
