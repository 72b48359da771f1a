-- Wrong passwords for a name are counted for a minute from the first one.
local FAILURES_MS = 60000

-- failures_of(base, username, now): how many there are in this minute, and the ms until it ends. If the clock is
-- earlier than the first one, it was set back, and they count no longer.
local function failures_of(base, username, now)
  local count, since = string.match(redis.call('GET', base .. ':failures:' .. username) or '', '^(%d+) (%d+)$')
  local left = since and since + FAILURES_MS - now or 0
  if left <= 0 or left > FAILURES_MS + 1000 then
    return 0, FAILURES_MS
  end
  return tonumber(count), left
end
