--- @include "tell_next"

-- delay_tasks(base, now, awaited, entries): adds tasks that are in no set to `:delayed`. `entries` are time (unix ms),
-- task, ... If one of them comes first of all, waiting workers are notified; `awaited` is the project's field.
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
