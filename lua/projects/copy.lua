--[[ copy: write a project's configuration to its slot, where its scripts read it.

  An older revision never overwrites a newer one, and a deleted project stays deleted.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  revision
  ARGV[3+] pairs: field, value

  Returns  1 if it was written, 0 if this revision or a newer one was there, or the project was deleted
  Refuses  nothing
  Cost     O(fields)
]]
--- @include "clock"
--- @include "drop_family"
--- @include "drain"

local base, guard, revision = KEYS[1], KEYS[2], tonumber(ARGV[2])

local found = redis.call('HMGET', base, 'revision', 'deleted')
if found[2] or tonumber(found[1] or 0) >= revision then
  return 0
end

redis.call('DEL', guard)
local FIELDS = { 'assign_rate', 'submit_rate', 'remember_closed', 'group_limit', 'notify_url', 'notify_failed',
  'notify_stalled' }
local before = redis.call('HMGET', base, unpack(FIELDS))
redis.call('HSET', base, 'revision', ARGV[2], unpack(ARGV, 3))
local after = redis.call('HMGET', base, unpack(FIELDS))
-- A new rate counts at once: what is owed by the old one is forgotten.
if before[1] ~= after[1] then
  redis.call('HDEL', base, 'assign_paid_off')
end
if before[2] ~= after[2] then
  redis.call('HDEL', base, 'submit_paid_off')
end
if before[4] and before[4] ~= after[4] then
  --- @include "tickets"
  --- @include "wake"
  local now = clock(ARGV[1])
  local groups = open_groups(base, now)
  begin_walk(groups)
  wake(base, groups.awaited, now, 1, 0)
end
if (before[5] or '') ~= (after[5] or '') or before[6] ~= after[6] or before[7] ~= after[7] then
  --- @include "begin_notify"
  begin_notify(base, before[5])
end
-- Hashes that were remembered for ever count from now on as hashes of tasks that close now.
if before[3] == '-1' and after[3] ~= '-1' then
  redis.call('HSET', base, 'closed_since', string.format('%.0f', (clock(ARGV[1]))))
elseif after[3] == '-1' then
  redis.call('HDEL', base, 'closed_since')
end
if after[3] == '0' then
  local texts = redis.call('HMGET', base, 'closed_hashes', 'recent_hashes')
  if texts[1] or texts[2] then
    local drain = begin_drain(base, 'drop_hashes')
    drop_family(base, 'closed', drain)
    drop_family(base, 'recent', drain)
  end
end
return 1
