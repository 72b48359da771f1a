--[[ drain_step: work off some of what maintenance calls have taken, the oldest call first.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  how many tasks and hashes at most, 500 or fewer

  Returns  {how many are done, 1 when there is more to do, else 0}
  Refuses  nothing
  Cost     O(maintenance calls in progress + tasks * (log queue + votes))
]]
--- @include "clock"
--- @include "assignment"
--- @include "delete_task"
--- @include "wake"

local base, guard, limit = KEYS[1], KEYS[2], tonumber(ARGV[2])
local now = clock(ARGV[1])

local function oldest()
  local first
  for _, n in ipairs(redis.call('HKEYS', base .. ':drains')) do
    if not first or tonumber(n) < tonumber(first) then
      first = n
    end
  end
  return first
end

local n = oldest()
if not n then
  return { 0, 0 }
end
redis.call('DEL', guard)
local operation = redis.call('HGET', base .. ':drains', n)

local done, waits = 0, { fresh = 0, voted = 0 }

local function work(member, state)
  local task = state == 'assigned' and task_of(member) or member
  if operation ~= 'reset_failed' and operation ~= 'reclaim_assigned' then
    return delete_task(base, task)
  end
  local how = (operation == 'reset_failed' and retry or unassign)(base, task)
  if how then
    waits[how] = waits[how] + 1
  end
end

for _, state in ipairs({ 'queue', 'verifying', 'assigned', 'failed' }) do
  local key = base .. ':drain:' .. n .. ':' .. state
  local tasks = done < limit and redis.call('ZRANGE', key, 0, limit - done - 1) or {}
  for _, task in ipairs(tasks) do
    work(task, state)
  end
  if #tasks > 0 then
    redis.call('ZREMRANGEBYRANK', key, 0, #tasks - 1)
    done = done + #tasks
  end
end
for _, name in ipairs({ 'hashes', 'voted' }) do
  if done < limit then
    done = done + #redis.call('SPOP', base .. ':drain:' .. n .. ':' .. name, limit - done)
  end
end
if done < limit then
  done = done + redis.call('ZREMRANGEBYRANK', base .. ':drain:' .. n .. ':remembered', 0, limit - done - 1)
end
local back = waits.fresh + waits.voted
if operation == 'reclaim_assigned' and back > 0 then
  redis.call('HINCRBY', base, 'reclaimed', back)
end
wake(base, redis.call('HGET', base, 'awaited'), now, waits.fresh, waits.voted)
if done == limit then
  return { done, 1 }
end

redis.call('HDEL', base .. ':drains', n)
if operation == 'delete' then
  redis.call('UNLINK', base .. ':drains', base .. ':access', base .. ':requests', base .. ':closed',
    base .. ':delivered', base .. ':snapshots', base .. ':snapshots:old', base .. ':imported')
  -- What the project has closed still goes on to the next one; the last entry takes the outbox with it.
  if redis.call('XLEN', base .. ':outbox') == 0 then
    redis.call('DEL', base .. ':outbox')
  end
end
return { done, redis.call('EXISTS', base .. ':drains') }
