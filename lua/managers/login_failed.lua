--[[ login_failed: count a wrong password, for the name and for the address that sent it.

  The count of a name expires a minute after the first wrong password.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  username
  ARGV[2]  address that asks
  ARGV[3]  how many wrong passwords an address may send a minute, 0 for no limit
  ARGV[4]  now, unix ms; '' outside tests

  Returns  {failures in this minute, seconds until they expire}
  Refuses  nothing
  Cost     O(1)
]]
--- @include "clock"
--- @include "address"
--- @include "failures"

local base, guard, username, address, limit = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3]
local now, now_us = clock(ARGV[4])

redis.call('DEL', guard)
local failures, left = failures_of(base, username, now)
failures = failures + 1
local since = now + left - FAILURES_MS
redis.call('SET', base .. ':failures:' .. username, string.format('%d %.0f', failures, since), 'PX', left)
address_charge(base, 'login', address, limit, now_us)
return { failures, math.ceil(left / 1000) }
