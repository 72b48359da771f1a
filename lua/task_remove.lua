--[[ task_remove: delete one task, wherever it is, with its votes; its hash is free at once.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  task id

  Returns  1
  Refuses  NOT_FOUND
  Cost     O(log queue + votes)
]]
--- @include "project"
--- @include "hold"
--- @include "forget"

local base, guard, task = KEYS[1], KEYS[2], ARGV[1]

local function state_of()
  for _, state in ipairs({ ':queue', ':verifying', ':assigned', ':failed' }) do
    if redis.call('ZSCORE', base .. state, task) then
      return state
    end
  end
end

local state = state_of()
if not project(base) or not state then
  return redis.error_reply('NOT_FOUND No such task')
end

redis.call('DEL', guard)
local fields = redis.call('HMGET', base .. ':task:' .. task, 'hash', 'assignee')
if state == ':assigned' then
  unassign(base, task, fields[2])
else
  redis.call('ZREM', base .. state, task)
end
forget(base, task)
if fields[1] then
  redis.call('SREM', base .. ':hashes', fields[1])
end
redis.call('HINCRBY', base .. ':counters', 'removed', 1)
return 1
