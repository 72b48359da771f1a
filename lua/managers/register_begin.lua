--[[ register_begin: count a registration for the address of the call, before its password is hashed.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  address that asks
  ARGV[2]  how many registrations an address may ask for a minute, 0 for no limit
  ARGV[3]  now, unix ms; '' outside tests

  Returns  1
  Refuses  RATE_LIMITED
  Cost     O(1)
]]
--- @include "clock"
--- @include "address"

local base, guard, address, limit = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local _, now_us = clock(ARGV[3])

local wait = address_wait(base, 'register', address, limit, now_us)
if wait > 0 then
  return redis.error_reply(string.format('RATE_LIMITED %.0f Too many registrations from this address', wait))
end

redis.call('DEL', guard)
address_charge(base, 'register', address, limit, now_us)
return 1
