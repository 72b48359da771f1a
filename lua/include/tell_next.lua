-- tell_next(base, key, awaited, now, at): an entry with this time (unix ms) was added to `:due` or `:delayed` (`key`).
-- Waiting workers are notified if it is the first: they know the time of an earlier one. `awaited` is the project's
-- field.
local function tell_next(base, key, awaited, now, at)
  if now < tonumber(awaited or 0) then
    local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
    if first and tonumber(first) == at then
      redis.pcall('PUBLISH', base .. ':wake', string.format('0 0 %d', math.max(0, math.ceil(at - now))))
    end
  end
end
