-- backoff(retries, delay, longest, n): ms for which a task that has failed so often is delayed. `delay` and `longest`
-- are the project's `retry_delay` and `retry_delay_max`, seconds. Up to a tenth is added, depending on the entry `n`:
-- tasks that failed together do not all come back together.
local function backoff(retries, delay, longest, n)
  delay, longest = tonumber(delay or 0), tonumber(longest or 0)
  if longest > delay then
    delay = math.min(delay * 2 ^ math.min(retries - 1, 40), longest)
  end
  return math.floor(delay * 1000 * (1 + n * 7919 % 1009 / 10090) + 0.5)
end
