-- Wrong passwords of a name: how many since when (unix ms), for a minute from the first.
local FAILURES_MS = 60000

-- failures_of(base, username, now): how many there are in this minute, and the ms until they count no longer. A clock
-- that is earlier than the first was set back: they are over.
local function failures_of(base, username, now)
  local count, since = string.match(redis.call('GET', base .. ':failures:' .. username) or '', '^(%d+) (%d+)$')
  local left = since and since + FAILURES_MS - now or 0
  if left <= 0 or left > FAILURES_MS + 1000 then
    return 0, FAILURES_MS
  end
  return tonumber(count), left
end
