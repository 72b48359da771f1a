--[[ request_access: a worker requests access to a project; to a public one too, since access gives it the secret.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  worker id
  ARGV[2]  what it asks for: 'assign', 'submit' or 'assign,submit'

  Returns  1
  Refuses  NOT_FOUND, ALREADY_GRANTED, ALREADY_ASKED
  Cost     O(1)
]]
--- @include "project"

local base, worker, asked = KEYS[1], ARGV[1], ARGV[2]

if not project(base) then
  return redis.error_reply('NOT_FOUND No such project')
end
if redis.call('HEXISTS', base .. ':access', worker) == 1 then
  return redis.error_reply('ALREADY_GRANTED This worker already has access to the project')
end
if redis.call('HEXISTS', base .. ':requests', worker) == 1 then
  return redis.error_reply('ALREADY_ASKED This worker has already requested access; a manager must accept or reject it')
end

redis.call('HSET', base .. ':requests', worker, asked)
return 1
