--[[ held_count: note how many tasks workers hold in a project now, and change their totals in all projects by that.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  project id
  ARGV[2+] pairs: worker id, held tasks; 500 pairs or fewer

  Returns  1
  Refuses  nothing
  Cost     O(workers * log workers)
]]
local base, guard, project = KEYS[1], KEYS[2], ARGV[1]
local here, everywhere = base .. ':held:' .. project, base .. ':worker-held'

redis.call('DEL', guard)
for i = 2, #ARGV, 2 do
  local worker, held = ARGV[i], tonumber(ARGV[i + 1])
  local before = tonumber(redis.call('HGET', here, worker) or 0)
  if held > 0 then
    redis.call('HSET', here, worker, held)
  else
    redis.call('HDEL', here, worker)
  end
  if tonumber(redis.call('ZINCRBY', everywhere, held - before, worker)) <= 0 then
    redis.call('ZREM', everywhere, worker)
  end
end
return 1
