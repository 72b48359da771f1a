--[[ session_list: a manager's sessions, the one that lasts longest first.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  manager id
  ARGV[2]  now, unix ms; '' outside tests
  ARGV[3]  how many at most

  Returns  for each session {SHA-256 of the cookie, created (unix s), end (unix s), address, browser}; the
           last two are false in a session of an earlier version
  Refuses  nothing
  Cost     O(log sessions + answered)
]]
--- @include "clock"

local base, now, count = KEYS[1], clock(ARGV[2]), tonumber(ARGV[3])
local key = base .. ':manager:' .. ARGV[1] .. ':sessions'

local found = redis.call('ZRANGE', key, '+inf', string.format('(%.0f', now), 'BYSCORE', 'REV', 'LIMIT', 0, count,
  'WITHSCORES')
local rows = {}
for i = 1, #found, 2 do
  local created, address, browser =
    unpack(redis.call('HMGET', base .. ':session:' .. found[i], 'created', 'address', 'browser'))
  if created then
    rows[#rows + 1] = { found[i], tonumber(created), math.floor(found[i + 1] / 1000), address, browser }
  end
end
return rows
