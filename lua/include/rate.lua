-- GCRA in microseconds. `kind` is 'assign' or 'submit', `rate` the project's field, tasks a second, 0 for unlimited.
local function interval_of(rate)
  return math.min(1000000 / rate, 1e15)
end

-- rate_wait(...): microseconds until one more task is allowed, 0 when it is now.
local function rate_wait(base, kind, rate, now_us)
  rate = tonumber(rate or 0)
  if rate == 0 then
    return 0
  end
  local arrival = tonumber(redis.call('GET', base .. ':rate:' .. kind) or 0)
  -- With a burst of 1, a rate of 5,000 admits 2,000: calls come in ticks.
  local burst = math.max(1, rate * 0.01)
  return math.max(0, math.ceil(arrival - (burst - 1) * interval_of(rate) - now_us))
end

-- rate_charge(...): takes `tasks` from the rate. A batch is charged whole, however large: those after it wait.
local function rate_charge(base, kind, rate, now_us, tasks)
  rate = tonumber(rate or 0)
  if rate == 0 or tasks == 0 then
    return
  end
  local key = base .. ':rate:' .. kind
  local arrival = math.max(tonumber(redis.call('GET', key) or 0), now_us)
  redis.call('SET', key, string.format('%.0f', arrival + tasks * interval_of(rate)))
end
