--[[ grant: a manager accepts a worker's request; what it had before stays.

  Accepting twice is accepting once, so that a lost answer can be asked for again.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  worker id

  Returns  what the worker may do now: 'assign', 'submit' or 'assign,submit'
  Refuses  NOT_FOUND
  Cost     O(1)
]]
--- @include "project"
--- @include "merge_access"
--- @include "grant_access"

local base, guard, worker = KEYS[1], KEYS[2], ARGV[1]

if not project(base) then
  return redis.error_reply('NOT_FOUND No such project')
end
local asked = redis.call('HGET', base .. ':requests', worker)
local granted = redis.call('HGET', base .. ':access', worker)
if not asked and not granted then
  return redis.error_reply('NOT_FOUND This worker has not requested access to the project')
end

local may = merge_access(granted, asked)

redis.call('DEL', guard)
grant_access(base, worker, may)
return may
