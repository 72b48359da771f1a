--- @include "tell_next"

-- delay_tasks(base, now, awaited, entries): tasks that are nowhere may be had from these times on (unix ms): time,
-- task... Workers that wait are told when one of them is the next; `awaited` is the project's field.
local function delay_tasks(base, now, awaited, entries)
  if #entries == 0 then
    return
  end
  local earliest = math.huge
  for i = 1, #entries, 2 do
    earliest = math.min(earliest, entries[i])
  end
  redis.call('ZADD', base .. ':delayed', unpack(entries))
  tell_next(base, base .. ':delayed', awaited, now, earliest)
end
