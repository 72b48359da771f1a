--[[ worker_hint: note that a worker has access to a project, or has it no longer.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  worker id
  ARGV[2]  project id
  ARGV[3]  '1' if it has access, else '0'

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
if ARGV[3] == '1' then
  redis.call('SADD', key .. ':projects', ARGV[2])
else
  redis.call('SREM', key .. ':projects', ARGV[2])
end
return 1
