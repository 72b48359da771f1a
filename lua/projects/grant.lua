--[[ grant: a manager accepts a worker's request; access that it had before stays.

  Accepting twice has the effect of accepting once, so a call whose answer was lost can be repeated.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  worker id

  Returns  the worker's access now: 'assign', 'submit' or 'assign,submit'
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
