--[[ workers_seen: note that workers were here just now, to the minute, and what each says of its program and host.

  Records of workers do not change, so the version stays. A worker that is gone leaves nothing.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2+] pairs: worker id, what it says of itself, '' for nothing; 500 pairs or fewer

  Returns  1
  Refuses  nothing
  Cost     O(workers * log workers)
]]
--- @include "clock"

local base, guard = KEYS[1], KEYS[2]
local seen, infos = base .. ':worker-seen', base .. ':worker-info'
local minute = math.floor(clock(ARGV[1]) / 60000) * 60

redis.call('DEL', guard)
for i = 2, #ARGV, 2 do
  local worker, info = ARGV[i], ARGV[i + 1]
  if redis.call('EXISTS', base .. ':worker:' .. worker) == 1 then
    -- Several processes see it in a minute: only what changes is written.
    if tonumber(redis.call('ZSCORE', seen, worker) or -1) ~= minute then
      redis.call('ZADD', seen, minute, worker)
    end
    if info ~= '' and redis.call('HGET', infos, worker) ~= info then
      redis.call('HSET', infos, worker, info)
    end
  end
end
return 1
