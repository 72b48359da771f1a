--[[ join: a worker with a join token of a project gets the access that the token gives, for one of its uses.

  A worker that has this access already takes no use, so a call whose answer was lost can be repeated. A worker that a
  manager has rejected is refused.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  worker id
  ARGV[2]  SHA-256 of the token, in hexadecimal
  ARGV[3]  '1' to join, '' to learn what a join would give
  ARGV[4]  now, unix ms; '' outside tests

  Returns  {the worker's access then: 'assign', 'submit' or 'assign,submit', 1 if it has that already, else 0}; or
           {'', why the token is invalid}
  Refuses  NOT_FOUND, DENIED
  Cost     O(1)
]]
--- @include "project"
--- @include "clock"
--- @include "join_token"
--- @include "merge_access"

local base, worker, digest, joins = KEYS[1], ARGV[1], ARGV[2], ARGV[3] == '1'
local now = clock(ARGV[4])

if not project(base) then
  return redis.error_reply('NOT_FOUND No such project')
end
if redis.call('SISMEMBER', base .. ':rejected', worker) == 1 then
  return redis.error_reply('DENIED A manager has rejected this worker: one must accept it before it can join')
end
local token = join_token(redis.call('HGET', base .. ':join_tokens', digest))
if not token then
  return { '', 'is not one of this project' }
end
local granted = redis.call('HGET', base .. ':access', worker)
local may = merge_access(granted, token.may)
if may == granted then
  return { may, 1 }
end
if token.expires <= now then
  return { '', 'has expired' }
end
if token.uses == '0' then
  return { '', 'is used up' }
end

if joins then
  redis.call('HSET', base .. ':access', worker, may)
  if merge_access(may, redis.call('HGET', base .. ':requests', worker)) == may then
    redis.call('HDEL', base .. ':requests', worker)
  end
  if token.uses ~= '-' then
    redis.call('HSET', base .. ':join_tokens', digest,
      string.format('%s %s %.0f %.0f', token.id, token.may, token.uses - 1, token.expires))
  end
end
return { may, 0 }
