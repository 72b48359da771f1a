--[[ task_retry: one failed task waits again, with no retries counted; its votes stand.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  task id

  Returns  1
  Refuses  NOT_FOUND
  Cost     O(log queue)
]]
--- @include "project"
--- @include "requeue"

local base, guard, task = KEYS[1], KEYS[2], ARGV[1]

if not project(base) then
  return redis.error_reply('NOT_FOUND No such project')
end
if not redis.call('ZSCORE', base .. ':failed', task) then
  return redis.error_reply('NOT_FOUND No failed task has this id')
end

redis.call('DEL', guard)
redis.call('ZREM', base .. ':failed', task)
retry(base, task)
return 1
