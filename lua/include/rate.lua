-- GCRA in microseconds. `rate` is the project's field, tasks a second, 0 for unlimited; `paid_off` the other one: when
-- what was let through so far is paid off, and when that was noted.
local function interval_of(rate)
  return math.min(1000000 / rate, 1e15)
end

-- owed_until(paid_off, now_us): when all is paid off, 0 when nothing is owed. A clock that is earlier than the note was
-- set back, and would have to catch up first: what was owed is forgotten. A correction of a second forgets nothing.
local function owed_until(paid_off, now_us)
  local owed, noted = string.match(paid_off or '', '^(%d+) (%d+)$')
  return noted and now_us >= noted - 1000000 and tonumber(owed) or 0
end

-- rate_wait(...): microseconds until one more task is allowed, 0 when it is now. `burst`: how many may come at once.
local function rate_wait(rate, paid_off, now_us, burst)
  rate = tonumber(rate or 0)
  if rate == 0 then
    return 0
  end
  -- With a burst of 1, a rate of 5,000 admits 2,000: calls come in ticks.
  burst = burst or math.max(1, rate * 0.01)
  return math.max(0, math.ceil(owed_until(paid_off, now_us) - (burst - 1) * interval_of(rate) - now_us))
end

-- rate_note(...): what to keep of `tasks` that are let through: when all is paid off, and now.
local function rate_note(rate, paid_off, now_us, tasks)
  local from = math.max(owed_until(paid_off, now_us), now_us)
  return string.format('%.0f %.0f', from + tasks * interval_of(rate), now_us)
end
