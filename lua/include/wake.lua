-- wake(base, awaited, now, fresh, voted, next_start): tells the server processes that so many tasks wait now, without
-- and with votes, and after how many ms a group that has begun to rest may start another, if it is given; only if a
-- worker waits for one: `awaited` is the project's field, until when one does. They look once a second as well, so it
-- may get lost, and a server that forbids it does not stop the script.
local function wake(base, awaited, now, fresh, voted, next_start)
  if now < tonumber(awaited or 0) and (fresh + voted > 0 or next_start) then
    local later = next_start and string.format(' %d', next_start) or ''
    redis.pcall('PUBLISH', base .. ':wake', fresh .. ' ' .. voted .. later)
  end
end
