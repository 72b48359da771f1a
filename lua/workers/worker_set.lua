--[[ worker_set: change one field of a worker. The new version makes every process drop its cached records.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  worker id
  ARGV[2]  'alias', 'digest' or 'paused'
  ARGV[3]  the new value

  Returns  1
  Refuses  NOT_FOUND
  Cost     O(1)
]]
local base, guard = KEYS[1], KEYS[2]
local key = base .. ':worker:' .. ARGV[1]

if redis.call('EXISTS', key) == 0 then
  return redis.error_reply('NOT_FOUND No such worker')
end
redis.call('DEL', guard)
redis.call('HSET', key, ARGV[2], ARGV[3])
redis.call('INCR', base .. ':version')
return 1
