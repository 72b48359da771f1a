--[[ outbox_drop: remove entries from the outbox that were delivered, or whose target was deleted.

  KEYS[1]  broker:{project:P} of the source
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  '1' if their target was deleted: they are counted as dropped; else ''
  ARGV[2+] outbox ids, at most 500

  Returns  how many were still there
  Refuses  nothing
  Cost     O(entries)
]]
--- @include "project"

local base, guard, lost = KEYS[1], KEYS[2], ARGV[1] == '1'

redis.call('DEL', guard)
local dropped = redis.call('XDEL', base .. ':outbox', unpack(ARGV, 2))
if lost and dropped > 0 and project(base) then
  redis.call('HINCRBY', base, 'dropped', dropped)
end
if redis.call('XLEN', base .. ':outbox') == 0 and not project(base) then
  redis.call('DEL', base .. ':outbox')
  redis.call('HDEL', base, 'outbox_read')
end
return dropped
