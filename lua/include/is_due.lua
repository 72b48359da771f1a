-- is_due(key, now): whether the time of a member of this set has come.
local function is_due(key, now)
  return #redis.call('ZRANGE', key, '-inf', now, 'BYSCORE', 'LIMIT', 0, 1) > 0
end
