--[[ claim: take a periodic job for a while, so that the other processes need not do it as well.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  job
  ARGV[2]  milliseconds

  Returns  1 if the caller has the job now, 0 if another process has it
  Refuses  nothing
  Cost     O(1)
]]
local base, guard, milliseconds = KEYS[1], KEYS[2], tonumber(ARGV[2])
local key = base .. ':claim:' .. ARGV[1]
-- Processes with other settings may claim a job for a little longer.
local MINUTE = 60000

redis.call('DEL', guard)
if redis.call('PTTL', key) > milliseconds + MINUTE then
  -- The clock was set back meanwhile: nobody would do the job until it has caught up.
  redis.call('DEL', key)
end
return redis.call('SET', key, '1', 'NX', 'PX', milliseconds) and 1 or 0
