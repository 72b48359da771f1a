--[[ notice_tried: an event was sent and is deleted; or it could not be sent and is tried again later.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  the event's id
  ARGV[3]  '' if it was sent; else ms after which it is tried again

  Returns  1
  Refuses  nothing
  Cost     O(log notices)
]]
--- @include "clock"

local base, guard, id, wait = KEYS[1], KEYS[2], ARGV[2], ARGV[3]
local now = clock(ARGV[1])

redis.call('DEL', guard)
local event, tries, rest = string.match(redis.call('HGET', base .. ':notices', id) or '', '^(%a+ %d+) (%d+)( .*)$')
if wait == '' or not event then
  redis.call('HDEL', base .. ':notices', id)
  redis.call('ZREM', base .. ':notices-at', id)
else
  redis.call('HSET', base .. ':notices', id, string.format('%s %d%s', event, tries + 1, rest))
  redis.call('ZADD', base .. ':notices-at', now + wait, id)
end
return 1
