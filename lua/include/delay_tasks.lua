-- delay_tasks(base, now, awaited, entries): tasks that are nowhere may be had from these times on (unix ms): time,
-- task... Workers that wait are told when one of them is the next; `awaited` is the project's field.
local function delay_tasks(base, now, awaited, entries)
  if #entries == 0 then
    return
  end
  redis.call('ZADD', base .. ':delayed', unpack(entries))
  if now < tonumber(awaited or 0) then
    local earliest = math.huge
    for i = 1, #entries, 2 do
      earliest = math.min(earliest, entries[i])
    end
    local first = redis.call('ZRANGE', base .. ':delayed', 0, 0, 'WITHSCORES')[2]
    if tonumber(first) == earliest then
      redis.pcall('PUBLISH', base .. ':wake', string.format('0 0 %d', math.max(0, math.ceil(earliest - now))))
    end
  end
end
