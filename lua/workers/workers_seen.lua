--[[ workers_seen: note to the minute that workers were seen now, and what each reports about its program and host.

  Records of workers do not change, so the version stays. Nothing is noted for deleted workers.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2+] pairs: worker id, what it reports about itself, '' for nothing; 500 pairs or fewer

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
    -- Several processes see a worker in a minute: only changes are written.
    if tonumber(redis.call('ZSCORE', seen, worker) or -1) ~= minute then
      redis.call('ZADD', seen, minute, worker)
    end
    if info ~= '' and redis.call('HGET', infos, worker) ~= info then
      redis.call('HSET', infos, worker, info)
    end
  end
end
return 1
