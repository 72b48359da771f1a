--- @include "hashes"

-- remembered(base, now, remember): the hashes of closed tasks that a project remembers. `remember` is its field
-- `remember_closed`, not 0. {closed =, recent = the families, false for one that has no hashes; closed_counts: whether
-- those of `closed` still count: for ever, or for as long as hashes are remembered from when that changed, `since`;
-- after: those of `recent` count whose task has closed after this second; oldest = the earliest second in `recent`;
-- trim = whether hashes are to go that count no longer: `closed`, or those of `recent`, of which the earliest has been
-- late for an eighth of the time that they are remembered}
local function remembered(base, now, remember)
  local found = redis.call('HMGET', base, 'closed_hashes', 'recent_hashes', 'closed_since', 'recent_oldest')
  local seconds, since, oldest = tonumber(remember), tonumber(found[3]), tonumber(found[4])
  local past = { since = since, oldest = oldest }
  past.closed = found[1] and family_of(base, 'closed', found[1])
  past.recent = found[2] and family_of(base, 'recent', found[2])
  past.closed_counts = seconds < 0 or since ~= nil and now < since + seconds * 1000
  past.after = seconds < 0 and -math.huge or now / 1000 - seconds
  past.trim = past.closed and not past.closed_counts
    or oldest and seconds > 0 and now >= (oldest + seconds + math.floor(seconds / 8)) * 1000
  return past
end
