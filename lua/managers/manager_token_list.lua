--[[ manager_token_list: a manager's tokens that have not expired.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  manager id
  ARGV[2]  now, unix ms; '' outside tests
  ARGV[3]  how many at most

  Returns  for each token {id, name, when it expires (unix s), when it was last used (unix s, to the minute; 0: never)}
  Refuses  nothing
  Cost     O(log tokens + answered)
]]
--- @include "clock"

local base, now, count = KEYS[1], clock(ARGV[2]), tonumber(ARGV[3])
local key = base .. ':manager:' .. ARGV[1] .. ':tokens'

local found = redis.call('ZRANGE', key, string.format('(%.0f', now), '+inf', 'BYSCORE', 'LIMIT', 0, count, 'WITHSCORES')
local rows = {}
for i = 1, #found, 2 do
  local fields = redis.call('HMGET', base .. ':token:' .. found[i], 'id', 'name', 'used')
  if fields[1] then
    rows[#rows + 1] = { tonumber(fields[1]), fields[2], math.floor(found[i + 1] / 1000), tonumber(fields[3] or 0) }
  end
end
return rows
