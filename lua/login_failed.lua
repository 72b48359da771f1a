--[[ login_failed: count a wrong password for a name; the count is gone a minute after the first.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  username

  Returns  {failures in this minute, seconds until they expire}
  Refuses  nothing
  Cost     O(1)
]]
local base, guard = KEYS[1], KEYS[2]
local key = base .. ':failures:' .. ARGV[1]

redis.call('DEL', guard)
local failures = redis.call('INCR', key)
if failures == 1 then
  redis.call('EXPIRE', key, 60)
end
return { failures, math.max(1, redis.call('TTL', key)) }
