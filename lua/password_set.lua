--[[ password_set: a new password for a manager. All his sessions end.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  manager id
  ARGV[2]  argon2id hash of the password

  Returns  how many sessions ended
  Refuses  NOT_FOUND
  Cost     O(sessions)
]]
local base, guard = KEYS[1], KEYS[2]
local key = base .. ':manager:' .. ARGV[1]

if redis.call('EXISTS', key) == 0 then
  return redis.error_reply('NOT_FOUND No such manager')
end
redis.call('DEL', guard)
redis.call('HSET', key, 'password', ARGV[2])
local sessions = redis.call('ZRANGE', key .. ':sessions', 0, -1)
for _, digest in ipairs(sessions) do
  redis.call('DEL', base .. ':session:' .. digest)
end
redis.call('DEL', key .. ':sessions')
return #sessions
