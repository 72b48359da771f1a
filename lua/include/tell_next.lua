-- tell_next(base, key, awaited, now, at): what is in this set for a time may be had at this one (unix ms). Workers that
-- wait are told, unless another one comes earlier: of that they know. `awaited` is the project's field.
local function tell_next(base, key, awaited, now, at)
  if now < tonumber(awaited or 0) then
    local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
    if first and tonumber(first) == at then
      redis.pcall('PUBLISH', base .. ':wake', string.format('0 0 %d', math.max(0, math.ceil(at - now))))
    end
  end
end
