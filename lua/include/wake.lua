-- wake(base, awaited, now, fresh, voted): notifies the server processes that so many tasks begin to wait, without and
-- with votes, if workers wait for tasks: `awaited` is the project's field, until when they do. Processes also ask once
-- a second, so a message may get lost, and a server that forbids PUBLISH does not stop the script.
local function wake(base, awaited, now, fresh, voted)
  if now < tonumber(awaited or 0) and fresh + voted > 0 then
    redis.pcall('PUBLISH', base .. ':wake', fresh .. ' ' .. voted)
  end
end
