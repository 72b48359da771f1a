--- @include "rate"
-- The limit of an address, in calls a minute: so many at once, then evenly over time (GCRA). 0 is no limit.
local function address_key(base, what, address)
  return base .. ':address:' .. what .. ':' .. address
end

-- address_wait(...): microseconds until this address may do `what` again, 0 for now.
local function address_wait(base, what, address, limit, now_us)
  return rate_wait(limit / 60, redis.call('GET', address_key(base, what, address)), now_us, tonumber(limit))
end

-- address_charge(...): counts one. Everything is paid off within a minute, so the key expires then.
local function address_charge(base, what, address, limit, now_us)
  if tonumber(limit) > 0 then
    local key = address_key(base, what, address)
    redis.call('SET', key, rate_note(limit / 60, redis.call('GET', key), now_us, 1), 'EX', 60)
  end
end
