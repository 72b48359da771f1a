--[[ drain_step: process some of the tasks that maintenance calls have taken, the oldest call first.

  Calls that take nothing out of reach, but search for tasks that match a filter, come after all others.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  how many tasks and hashes at most, 500 or fewer; a search checks so many tasks, 10 times as many buckets, and
           2 kB for each task, and changes a third as many
  ARGV[3]  number of a call for matching tasks whose progress to return; '' for none

  Returns  {how many were processed; 1 if there is more to do, else 0; how many tasks the call in ARGV[3] has changed; 1
           if that call is in progress, else 0}
  Refuses  nothing
  Cost     O(maintenance calls in progress + tasks * (log queue + votes))
]]
--- @include "clock"
--- @include "task_of"
--- @include "put_back"
--- @include "retry"
--- @include "wake"

local base, guard, limit = KEYS[1], KEYS[2], tonumber(ARGV[2])
local now = clock(ARGV[1])

local function matches(operation)
  return string.find(operation, '^%a+_tasks ')
end

-- The number of the call to process, and what it does.
local function oldest()
  local first, what, least
  local drains = redis.call('HGETALL', base .. ':drains')
  for i = 1, #drains, 2 do
    local turn = tonumber(drains[i]) + (matches(drains[i + 1]) and 2 ^ 50 or 0)
    if not first or turn < least then
      first, what, least = drains[i], drains[i + 1], turn
    end
  end
  return first, what
end

-- The reply of the script.
local function done_so_far(done, more)
  local text = ARGV[3] ~= '' and redis.call('HGET', base .. ':drains', ARGV[3])
  local ended = ARGV[3] ~= '' and not text and redis.call('GET', base .. ':drain:' .. ARGV[3] .. ':affected')
  local affected = text and string.match(text, '^%a+_tasks %d+ %d+ (%d+)') or ended
  return { done, more, tonumber(affected or 0), text and 1 or 0 }
end

local n, operation = oldest()
if not n then
  return done_so_far(0, 0)
end
redis.call('DEL', guard)
if matches(operation) then
  --- @include "drain_matching"
  local looked, fresh, voted = drain_matching(base, now, n, operation, limit)
  wake(base, redis.call('HGET', base, 'awaited'), now, fresh, voted)
  return done_so_far(looked, redis.call('EXISTS', base .. ':drains'))
end
local drain = base .. ':drain:' .. n

local done, all_fresh, all_voted, back = 0, 0, 0, 0

local function work(members, tasks, state)
  local fresh, voted, count = 0, 0, 0
  if operation == 'reset_failed' then
    fresh, voted, count = retry(base, now, tasks)
  elseif operation == 'reclaim_assigned' then
    fresh, voted, count = put_back(base, now, tasks, members)
  elseif operation == 'remove_group' then
    --- @include "remove_tasks"
    remove_tasks(base, tasks)
  else
    if state == 'assigned' then
      --- @include "free_groups"
      -- `:holders` has their groups, so the records need not be read.
      fresh = free_groups(base, now, members, {})
    end
    delete_tasks(base, tasks)
  end
  all_fresh, all_voted, back = all_fresh + fresh, all_voted + voted, back + count
end

for _, state in ipairs({ 'queue', 'verifying', 'delayed', 'assigned', 'failed' }) do
  local key = drain .. ':' .. state
  local members, tasks = done < limit and redis.call('ZRANGE', key, 0, limit - done - 1) or {}, {}
  if #members > 0 then
    redis.call('ZREMRANGEBYRANK', key, 0, #members - 1)
    done = done + #members
    for i, member in ipairs(members) do
      tasks[i] = task_of(member)
    end
    work(members, tasks, state)
  end
end
if done < limit and redis.call('EXISTS', drain .. ':gen') == 1 then
  --- @include "drain_groups"
  done = done + drain_groups(base, now, drain, limit - done)
end
if done < limit then
  done = done + #redis.call('SPOP', drain .. ':voted', limit - done)
end

-- Buckets of hashes: each counts as one.
local families = redis.call('HGETALL', drain .. ':buckets')
for i = 1, #families, 2 do
  local buckets, keys = tonumber(families[i + 1]), {}
  while #keys < math.min(limit - done, buckets) do
    keys[#keys + 1] = string.format('%s%d', families[i], buckets - #keys - 1)
  end
  if #keys > 0 then
    redis.call('DEL', unpack(keys))
    redis.call('HINCRBY', drain .. ':buckets', families[i], -#keys)
    done = done + #keys
  end
  if #keys == buckets then
    redis.call('HDEL', drain .. ':buckets', families[i])
  end
end

if operation == 'reclaim_assigned' and back > 0 then
  redis.call('HINCRBY', base, 'reclaimed', back)
end
wake(base, redis.call('HGET', base, 'awaited'), now, all_fresh, all_voted)
if done == limit then
  return done_so_far(done, 1)
end

redis.call('HDEL', base .. ':drains', n)
redis.call('DEL', drain .. ':gen')
if operation == 'delete' then
  redis.call('UNLINK', base .. ':drains', base .. ':access', base .. ':requests', base .. ':closed',
    base .. ':counting', base .. ':counted', base .. ':delivered', base .. ':errors', base .. ':snapshots',
    base .. ':snapshots:old', base .. ':imported', base .. ':limits', base .. ':blocked', base .. ':resting',
    base .. ':rejected', base .. ':join_tokens', base .. ':notices', base .. ':notices-at')
  -- Closed tasks are still delivered to the chained project; the last delivery deletes the outbox.
  if redis.call('XLEN', base .. ':outbox') == 0 then
    redis.call('DEL', base .. ':outbox')
  end
end
return done_so_far(done, redis.call('EXISTS', base .. ':drains'))
