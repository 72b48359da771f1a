--- @include "put_back"

-- take_delayed(base, now, count): delayed tasks whose time has come wait from now on, `count` of them (500 or fewer),
-- the earliest first. Returns how many these were, and for how many without and with votes a worker can be woken.
local function take_delayed(base, now, count)
  local came = redis.call('ZRANGE', base .. ':delayed', '-inf', now, 'BYSCORE', 'LIMIT', 0, count)
  if #came == 0 then
    return 0, 0, 0
  end
  redis.call('ZREM', base .. ':delayed', unpack(came))
  local fresh, voted = put_back(base, now, came)
  return #came, fresh, voted
end
