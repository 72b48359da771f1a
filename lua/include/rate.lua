-- GCRA in microseconds. `rate` is the project's field: tasks a second, 0 for unlimited. `paid_off` is the other field:
-- when everything that was allowed so far is paid off, and when that was noted.
local function interval_of(rate)
  return math.min(1000000 / rate, 1e15)
end

-- owed_until(paid_off, now_us): when everything is paid off, 0 if it is now. If the clock is earlier than the note, it
-- was set back: then nothing is owed, or calls would have to wait for the old time. A correction of up to a second does
-- not count.
local function owed_until(paid_off, now_us)
  local owed, noted = string.match(paid_off or '', '^(%d+) (%d+)$')
  return noted and now_us >= noted - 1000000 and tonumber(owed) or 0
end

-- rate_wait(...): microseconds until one more task is allowed, 0 for now. `burst`: how many may come at once.
local function rate_wait(rate, paid_off, now_us, burst)
  rate = tonumber(rate or 0)
  if rate == 0 then
    return 0
  end
  -- With a burst of 1, a rate of 5,000 would allow 2,000: calls come in clusters.
  burst = burst or math.max(1, rate * 0.01)
  return math.max(0, math.ceil(owed_until(paid_off, now_us) - (burst - 1) * interval_of(rate) - now_us))
end

-- rate_note(...): the new `paid_off` after `tasks` were allowed.
local function rate_note(rate, paid_off, now_us, tasks)
  local from = math.max(owed_until(paid_off, now_us), now_us)
  return string.format('%.0f %.0f', from + tasks * interval_of(rate), now_us)
end
