--[[ log_page: lines of one level, the last that came first.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  level: trace, debug, info, warn or error
  ARGV[2]  stream id before which they came, '+' for the last ones
  ARGV[3]  how many

  Returns  for each {stream id, timestamp, message, data}
  Refuses  nothing
  Cost     O(lines)
]]
local base, before, count = KEYS[1], ARGV[2], ARGV[3]

local rows = {}
for i, entry in ipairs(redis.call('XREVRANGE', base .. ':logs:' .. ARGV[1], before, '-', 'COUNT', count)) do
  rows[i] = { entry[1], entry[2][2], entry[2][4], entry[2][6] }
end
return rows
