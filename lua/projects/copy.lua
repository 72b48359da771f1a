--[[ copy: put a project's configuration where its scripts read it. An older revision never overwrites a newer one,
  and a project that was deleted stays so.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  revision
  ARGV[2+] pairs: field, value

  Returns  1 when written, 0 when this revision or a newer one was there
  Refuses  nothing
  Cost     O(fields)
]]
local base, guard, revision = KEYS[1], KEYS[2], tonumber(ARGV[1])

local found = redis.call('HMGET', base, 'revision', 'deleted')
if found[2] or tonumber(found[1] or 0) >= revision then
  return 0
end

redis.call('DEL', guard)
local before = redis.call('HMGET', base, 'assign_rate', 'submit_rate')
redis.call('HSET', base, 'revision', ARGV[1], unpack(ARGV, 2))
local after = redis.call('HMGET', base, 'assign_rate', 'submit_rate')
-- A new rate begins at once, not after what the old one still owes.
if before[1] ~= after[1] then
  redis.call('HDEL', base, 'assign_paid_off')
end
if before[2] ~= after[2] then
  redis.call('HDEL', base, 'submit_paid_off')
end
return 1
