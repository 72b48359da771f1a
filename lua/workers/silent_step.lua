--[[ silent_step: check the next workers by id, and delete those that have been silent for the time of `silent_begin`.

  A worker that was never seen counts as silent since it was created; one from the original tracker stays, because it
  may not have moved to this broker yet.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  how many workers to look at, 500 or fewer
  ARGV[3]  '1' for a sweep, which does nothing if a call has done a step in the last 10 seconds; else ''

  Returns  {how many it deleted, 1 when there are more to look at, else 0}
  Refuses  nothing
  Cost     O(workers * log workers)
]]
--- @include "clock"
--- @include "delete_worker"

local base, guard, count, sweeps = KEYS[1], KEYS[2], tonumber(ARGV[2]), ARGV[3] == '1'
local now = clock(ARGV[1])
local key = base .. ':silent'

local before, first, at = unpack(redis.call('HMGET', key, 'before', 'next', 'at'))
-- If the clock is earlier, it was set back.
local is_fresh = sweeps and at and now >= tonumber(at) and now < tonumber(at) + 10000
if not before or is_fresh then
  return { 0, 0 }
end

redis.call('DEL', guard)
local last = tonumber(redis.call('GET', base .. ':next-worker') or 0)
local stop, deleted = math.min(first + count - 1, last), 0
for n = first, stop do
  local worker = string.format('%.0f', n)
  local created, imported = unpack(redis.call('HMGET', base .. ':worker:' .. worker, 'created', 'imported'))
  local here = created and redis.call('ZSCORE', base .. ':worker-seen', worker) or not imported and created
  if here and tonumber(here) < tonumber(before) then
    deleted = deleted + delete_worker(base, worker)
  end
end
if deleted > 0 then
  redis.call('INCR', base .. ':version')
end
if stop < last then
  redis.call('HSET', key, 'next', string.format('%.0f', stop + 1))
  if not sweeps then
    redis.call('HSET', key, 'at', string.format('%.0f', now))
  end
  return { deleted, 1 }
end
redis.call('DEL', key)
return { deleted, 0 }
