--- @include "hashes"

-- remembered(base, now, remember): the hashes of closed tasks that a project remembers. `remember` is its field
-- `remember_closed`, not 0. Returns a table:
--   closed, recent   the families, false for one without hashes
--   closed_counts    whether hashes of `closed` still count: they do while hashes are remembered for ever, and after
--                    that for `remember` seconds from `since`, when that was changed
--   after            a hash of `recent` counts if its task has closed after this second
--   oldest           the earliest second in `recent`
--   trim_at          the second at which hashes that no longer count are removed: all of `closed`, or those of `recent`
--                    when the earliest is overdue by an eighth of the time for which they are remembered
--   trim             whether that time has come
local function remembered(base, now, remember)
  local for_ever, past = remember == '-1', { closed_counts = true, after = -math.huge }
  local found = for_ever and redis.call('HMGET', base, 'closed_hashes', 'recent_hashes')
    or redis.call('HMGET', base, 'closed_hashes', 'recent_hashes', 'closed_since', 'recent_oldest')
  past.closed = found[1] and family_of(base, 'closed', found[1])
  past.recent = found[2] and family_of(base, 'recent', found[2])
  if not for_ever then
    local seconds, since, oldest = tonumber(remember), tonumber(found[3]), tonumber(found[4])
    past.since, past.oldest, past.after = since, oldest, now / 1000 - seconds
    past.closed_counts = since ~= nil and now < since + seconds * 1000
    past.trim_at = oldest and oldest + seconds + math.floor(seconds / 8)
    if past.closed and since then
      past.trim_at = math.min(past.trim_at or math.huge, since / 1000 + seconds)
    end
    past.trim = past.closed and not past.closed_counts or past.trim_at and now >= past.trim_at * 1000
  end
  return past
end
