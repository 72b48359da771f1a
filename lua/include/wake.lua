-- wake(base, awaited, now, fresh, voted): tells the server processes that so many tasks wait now, without and with
-- votes, if a worker waits for one: `awaited` is the project's field, until when one does. They look once a second as
-- well, so it may get lost, and a server that forbids it does not stop the script.
local function wake(base, awaited, now, fresh, voted)
  if now < tonumber(awaited or 0) and fresh + voted > 0 then
    redis.pcall('PUBLISH', base .. ':wake', fresh .. ' ' .. voted)
  end
end
