--[[ manager_find: an account by its name, for signing in.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  username

  Returns  {manager id or false, argon2id hash or false, failed attempts in the last minute, seconds until they expire}
  Refuses  nothing
  Cost     O(1)
]]
local base, username = KEYS[1], ARGV[1]
local failures = base .. ':failures:' .. username

local id = redis.call('HGET', base .. ':usernames', username)
return {
  id,
  id and redis.call('HGET', base .. ':manager:' .. id, 'password'),
  tonumber(redis.call('GET', failures) or 0),
  math.max(1, redis.call('TTL', failures)),
}
