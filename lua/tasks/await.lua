--[[ await: workers wait for tasks of a project: from now on, tasks are announced on `:wake`.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  milliseconds for which tasks are announced

  Returns  {tasks without votes that a worker may get now, tasks with votes, 1 if the project is public, assign rate,
           1 if it is paused, ms until the next group may start a task or the next delayed task waits, -1 for none}
  Refuses  NOT_FOUND
  Cost     O(1)
]]
--- @include "clock"
--- @include "first_due"
--- @include "project"

local base, guard, lasting = KEYS[1], KEYS[2], tonumber(ARGV[2])
local now = clock(ARGV[1])

local fields = project(base, 'paused', 'public', 'assign_rate', 'awaited')
if not fields then
  return redis.error_reply('NOT_FOUND No such project')
end
local paused, public, rate, awaited = unpack(fields, 2, 5)

-- It is called each second, and need not write each time.
if tonumber(awaited or 0) < now + lasting / 2 then
  redis.call('DEL', guard)
  redis.call('HSET', base, 'awaited', string.format('%d', now + lasting))
end
return {
  redis.call('ZCARD', base .. ':queue') + redis.call('ZCARD', base .. ':ready'),
  redis.call('ZCARD', base .. ':verifying') + redis.call('ZCARD', base .. ':ready_voted'),
  public == '1' and 1 or 0,
  rate or '0',
  paused == '1' and 1 or 0,
  first_due(base, now),
}
