--[[ manager_register: create an account. The first one becomes tracker admin.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  username
  ARGV[2]  argon2id hash of the password
  ARGV[3]  now, unix ms; '' outside tests
  ARGV[4]  '1' if anybody may register, '0' if only the first account may

  Returns  manager id
  Refuses  DUPLICATE, DENIED
  Cost     O(1)
]]
--- @include "clock"

local base, guard, username, password = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local now = clock(ARGV[3])

local first = redis.call('EXISTS', base .. ':usernames') == 0
if not first and ARGV[4] ~= '1' then
  return redis.error_reply('DENIED Registration is closed; ask the operator for an account')
end
if redis.call('HEXISTS', base .. ':usernames', username) == 1 then
  return redis.error_reply('DUPLICATE username: this name is taken')
end

redis.call('DEL', guard)
local id = string.format('%.0f', redis.call('INCR', base .. ':next-manager'))
redis.call('HSET', base .. ':usernames', username, id)
redis.call('HSET', base .. ':manager:' .. id, 'username', username, 'password', password, 'tracker_admin',
  first and '1' or '0', 'register_time', math.floor(now / 1000))
return tonumber(id)
