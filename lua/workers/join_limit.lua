--[[ join_limit: check whether an address may try a join token, or count one that was invalid.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  address that asks
  ARGV[2]  how many invalid tokens an address may send a minute, 0 for no limit
  ARGV[3]  '1' to count one, '' to check
  ARGV[4]  now, unix ms; '' outside tests

  Returns  1
  Refuses  RATE_LIMITED
  Cost     O(1)
]]
--- @include "clock"
--- @include "address"

local base, guard, address, limit, counts = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3] == '1'
local _, now_us = clock(ARGV[4])

local wait = counts and 0 or address_wait(base, 'join', address, limit, now_us)
if wait > 0 then
  return redis.error_reply(string.format('RATE_LIMITED %.0f Too many wrong join tokens from this address', wait))
end

if counts then
  redis.call('DEL', guard)
  address_charge(base, 'join', address, limit, now_us)
end
return 1
