--[[ task_retry: a failed task waits again, with no retries counted. It keeps its votes, unless these did not agree.

  A task without a record is dropped instead.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  task id

  Returns  1, or 0 if the task was dropped
  Refuses  NOT_FOUND
  Cost     O(log queue)
]]
--- @include "clock"
--- @include "project"
--- @include "retry"
--- @include "wake"

local base, guard, task = KEYS[1], KEYS[2], ARGV[2]
local now = clock(ARGV[1])

local fields = project(base, 'awaited')
if not fields then
  return redis.error_reply('NOT_FOUND No such project')
end
if not redis.call('ZSCORE', base .. ':failed', task) then
  return redis.error_reply('NOT_FOUND No failed task has this id')
end

redis.call('DEL', guard)
redis.call('ZREM', base .. ':failed', task)
local fresh, voted, back = retry(base, now, { task })
wake(base, fields[2], now, fresh, voted)
return back
