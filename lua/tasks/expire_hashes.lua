--[[ expire_hashes: remove the hashes of closed tasks that no longer count as duplicates.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  how many at most, 500 or fewer

  Returns  how many it removed; fewer than asked means that none is left
  Refuses  nothing
  Cost     O(hashes * log remembered)
]]
--- @include "clock"
--- @include "project"
--- @include "expired_before"

local base, guard = KEYS[1], KEYS[2]
local now, limit = clock(ARGV[1]), ARGV[2]

redis.call('DEL', guard)
local fields = project(base, 'remember_closed')
local highest = expired_before(tonumber(fields and fields[2] or 0), now)
local hashes = redis.call('ZRANGE', base .. ':remembered', '-inf', highest, 'BYSCORE', 'LIMIT', 0, limit)
if #hashes > 0 then
  redis.call('ZREM', base .. ':remembered', unpack(hashes))
end
return #hashes
