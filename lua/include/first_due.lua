--- @include "full"

-- first_due(base, now): ms until the first group in `:due` must be checked again or the first delayed task can be
-- assigned; -1: no time is known for any.
local function first_due(base, now)
  local group = redis.call('ZRANGE', base .. ':due', 0, 0, 'WITHSCORES')[2]
  local task = redis.call('ZRANGE', base .. ':delayed', 0, 0, 'WITHSCORES')[2]
  local first = math.min(tonumber(group or FULL), tonumber(task or FULL))
  return first < FULL and math.max(0, math.ceil(first - now)) or -1
end
