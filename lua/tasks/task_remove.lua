--[[ task_remove: delete one task, wherever it is, with its votes; its hash is free at once.

  A task without a record is dropped, and its hash stays taken.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  task id

  Returns  1
  Refuses  NOT_FOUND
  Cost     O(log queue + votes)
]]
--- @include "clock"
--- @include "project"
--- @include "remove_found"

local base, guard, task = KEYS[1], KEYS[2], ARGV[2]
local now = clock(ARGV[1])

local place = { find_task(base, task) }
if not project(base) or not place[1] then
  return redis.error_reply('NOT_FOUND No such task')
end

redis.call('DEL', guard)
remove_found(base, now, { task }, { place })
return 1
