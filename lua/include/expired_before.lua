-- expired_before(remember, now): hashes of tasks that closed at or before this unix ms count no longer. `remember` is
-- the project's remember_closed, as it is now: 0 not at all, -1 for ever, else seconds.
local function expired_before(remember, now)
  if remember == 0 then
    return '+inf'
  end
  return remember < 0 and '-inf' or now - remember * 1000
end
