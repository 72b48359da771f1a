--[[ rebase: the clock was set back: what began at a time that is still to come begins now, for as long as it had.

  That is done for tasks that are held, so that their deadlines do not lie an hour further ahead, and for remembered
  hashes. Any number of processes may do it, any number of times.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  cursor in the assigned tasks, '0' to begin, '' when all were looked at
  ARGV[3]  about how many of each to look at, 500 or fewer

  Returns  next cursor, as text; false when nothing is left
  Refuses  nothing
  Cost     O(looked at * log assigned)
]]
--- @include "clock"
--- @include "assignment"

local base, guard, cursor, count = KEYS[1], KEYS[2], ARGV[2], tonumber(ARGV[3])
local now, _, seconds = clock(ARGV[1])

redis.call('DEL', guard)
if cursor ~= '' then
  local scan = redis.call('ZSCAN', base .. ':assigned', cursor, 'COUNT', count)
  for i = 1, #scan[2], 2 do
    local member, key = scan[2][i], base .. ':task:' .. task_of(scan[2][i])
    local begun = tonumber(redis.call('HGET', key, 'assign_time') or 0)
    -- A correction of a second moves nothing.
    if begun > seconds + 1 then
      redis.call('HSET', key, 'assign_time', seconds)
      redis.call('ZADD', base .. ':assigned', 'LT', now + math.max(0, scan[2][i + 1] - begun * 1000), member)
    end
  end
  cursor = scan[1] == '0' and '' or scan[1]
end
local from = string.format('(%.0f', now + 1000)
local later = redis.call('ZRANGE', base .. ':remembered', from, '+inf', 'BYSCORE', 'LIMIT', 0, count)
for _, hash in ipairs(later) do
  redis.call('ZADD', base .. ':remembered', now, hash)
end
return (cursor ~= '' or #later == count) and cursor or false
