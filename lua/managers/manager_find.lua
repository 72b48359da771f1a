--[[ manager_find: an account by its name, for signing in.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  username
  ARGV[2]  address that asks
  ARGV[3]  how many wrong passwords an address may send a minute, 0 for no limit
  ARGV[4]  now, unix ms; '' outside tests

  Returns  {manager id or false, argon2id hash or false, failed attempts in the last minute, seconds until they expire}
  Refuses  RATE_LIMITED
  Cost     O(1)
]]
--- @include "clock"
--- @include "address"
--- @include "failures"

local base, username, address, limit = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local now, now_us = clock(ARGV[4])

local wait = address_wait(base, 'login', address, limit, now_us)
if wait > 0 then
  return redis.error_reply(string.format('RATE_LIMITED %.0f Too many wrong passwords from this address', wait))
end

local id = redis.call('HGET', base .. ':usernames', username)
local failures, left = failures_of(base, username, now)
return {
  id,
  id and redis.call('HGET', base .. ':manager:' .. id, 'password'),
  failures,
  math.ceil(left / 1000),
}
