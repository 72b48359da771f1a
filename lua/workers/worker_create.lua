--[[ worker_create: register a worker. Only the digest of its secret is stored.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  alias
  ARGV[2]  SHA-256 of the secret, in hexadecimal
  ARGV[3]  now, unix ms; '' outside tests
  ARGV[4]  address that asks
  ARGV[5]  how many workers an address may create a minute, 0 for no limit

  Returns  {worker id, created (unix s)}
  Refuses  RATE_LIMITED
  Cost     O(log workers)
]]
--- @include "clock"
--- @include "address"
--- @include "worker_closed"

local base, alias, digest, address, limit = KEYS[1], ARGV[1], ARGV[2], ARGV[4], ARGV[5]
local now, now_us = clock(ARGV[3])
local created = math.floor(now / 1000)

local wait = address_wait(base, 'create', address, limit, now_us)
if wait > 0 then
  return redis.error_reply(string.format('RATE_LIMITED %.0f Too many workers created from this address', wait))
end

local id = redis.call('INCR', base .. ':next-worker')
local worker = string.format('%.0f', id)
redis.call('HSET', base .. ':worker:' .. worker, 'alias', alias, 'created', created, 'paused', '0', 'digest', digest)
add_closed(base, worker, 0)
address_charge(base, 'create', address, limit, now_us)
return { id, created }
