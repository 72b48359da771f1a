--[[ task_remove: delete one task, wherever it is, with its votes; its hash is free at once.

  One that has lost its record is dropped, and its hash stays taken.

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
--- @include "find_task"
--- @include "remove_tasks"

local base, guard, task = KEYS[1], KEYS[2], ARGV[2]
local now = clock(ARGV[1])

local state, _, key, member, waits_in = find_task(base, task)
if not project(base) or not state then
  return redis.error_reply('NOT_FOUND No such task')
end

redis.call('DEL', guard)
local created, _, _, _, _, _, _, group = parse_record(redis.call('HGET', bucket_of(base, task)))
if waits_in then
  --- @include "leave_waiting"
  leave_waiting(base, now, task, state, waits_in)
else
  redis.call('ZREM', key, member)
end
if state == 'assigned' and group ~= '' then
  --- @include "free_groups"
  --- @include "wake"
  local free = free_groups(base, now, { member }, { created and group })
  wake(base, redis.call('HGET', base, 'awaited'), now, free, 0)
end
remove_tasks(base, { task })
return 1
