--- @include "full"

-- first_due(base, now): ms until the first group in `:due` is to be looked at again; -1: no time is known for any.
local function first_due(base, now)
  local score = redis.call('ZRANGE', base .. ':due', 0, 0, 'WITHSCORES')[2]
  score = tonumber(score or FULL)
  return score < FULL and math.max(0, math.ceil(score - now)) or -1
end
