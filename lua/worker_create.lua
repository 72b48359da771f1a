--[[ worker_create: register a worker. Its secret is known to the worker alone; here is its digest.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  alias
  ARGV[2]  SHA-256 of the secret, in hexadecimal
  ARGV[3]  now, unix ms; '' outside tests

  Returns  {worker id, created (unix s)}
  Refuses  nothing
  Cost     O(1)
]]
--- @include "clock"

local base, alias, digest = KEYS[1], ARGV[1], ARGV[2]
local created = math.floor(clock(ARGV[3]) / 1000)

local id = redis.call('INCR', base .. ':next-worker')
redis.call('HSET', base .. ':worker:' .. string.format('%.0f', id), 'alias', alias, 'created', created, 'paused', '0',
  'digest', digest)
return { id, created }
