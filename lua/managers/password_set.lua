--[[ password_set: set the password of a manager. All their sessions and tokens end.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  manager id
  ARGV[2]  argon2id hash of the new password
  ARGV[3]  argon2id hash with which the old password was verified

  Returns  how many sessions and tokens ended, or -1 if the password was changed meanwhile: then nothing is done
  Refuses  NOT_FOUND
  Cost     O(sessions + tokens)
]]
local base, guard = KEYS[1], KEYS[2]
local key = base .. ':manager:' .. ARGV[1]

local password = redis.call('HGET', key, 'password')
if not password then
  return redis.error_reply('NOT_FOUND No such manager')
end
if password ~= ARGV[3] then
  return -1
end
redis.call('DEL', guard)
redis.call('HSET', key, 'password', ARGV[2])
local ended = 0
for _, kind in ipairs({ 'session', 'token' }) do
  local all = key .. ':' .. kind .. 's'
  for _, digest in ipairs(redis.call('ZRANGE', all, 0, -1)) do
    redis.call('DEL', base .. ':' .. kind .. ':' .. digest)
    ended = ended + 1
  end
  redis.call('DEL', all)
end
return ended
