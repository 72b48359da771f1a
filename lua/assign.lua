--[[ assign: give a worker the best tasks that wait; they are his until their deadline.

  The best of `queue` and `verifying` by score, never a task that the worker has voted on. When nothing waits, up to 10
  overdue tasks are reclaimed, and it looks once more.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  worker id
  ARGV[2]  now, unix ms; '' outside tests
  ARGV[3]  how many tasks, at most 500
  ARGV[4]  bytes of recipes at which to stop; one task is always given
  ARGV[5]  seconds to hold a task that says 0
  ARGV[6]  '1' for the first chunk of a call, '' for a later one, which the rate does not hold up

  Returns  {revision, assign time (unix s), task...}, a task as {id, recipe, priority, retries, max_retries,
           max_assign_time, verification_count}, with false for a field at its default
  Refuses  NOT_FOUND, PAUSED, DENIED, RATE_LIMITED
  Cost     O(tasks * log queue), and at most 1,000 steps in `verifying`
]]
--- @include "clock"
--- @include "project"
--- @include "rate"
--- @include "overdue"
--- @include "unvoted"

local base, guard, worker = KEYS[1], KEYS[2], ARGV[1]
local now, now_us = clock(ARGV[2])
local count, bytes, default_time = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local first_chunk = ARGV[6] == '1'

local fields = project(base, 'paused', 'public', 'assign_rate')
if not fields then
  return redis.error_reply('NOT_FOUND No such project')
end
if fields[2] == '1' then
  return redis.error_reply('PAUSED The project is paused')
end
if fields[3] ~= '1' and redis.call('HEXISTS', base .. ':access', worker) == 0 then
  return redis.error_reply('DENIED This worker may not take tasks of the project')
end
local wait = first_chunk and rate_wait(base, 'assign', fields[4], now_us) or 0
if wait > 0 then
  return redis.error_reply(string.format('RATE_LIMITED %.0f', wait))
end

redis.call('DEL', guard)

-- Chooses the tasks, best first: {rows, ids from `queue`, ids from `verifying`}.
local function choose()
  local queue = redis.call('ZRANGE', base .. ':queue', 0, count - 1, 'WITHSCORES')
  local next_unvoted = unvoted(base, worker)
  local voted_on, score = next_unvoted()
  local rows, from_queue, from_verifying, size = {}, {}, {}, 0
  while #rows < count do
    local head, head_score = queue[2 * #from_queue + 1], queue[2 * #from_queue + 2]
    local verify = voted_on and not (head and tonumber(head_score) < tonumber(score))
    local task = verify and voted_on or head
    if not task then
      break
    end
    local row = redis.call('HMGET', base .. ':task:' .. task, 'recipe', 'priority', 'retries', 'max_retries',
      'max_assign_time', 'verification_count')
    size = size + #row[1]
    if size > bytes and #rows > 0 then
      break
    end
    rows[#rows + 1] = { task, unpack(row, 1, 6) }
    if verify then
      from_verifying[#from_verifying + 1] = task
      voted_on, score = next_unvoted()
    else
      from_queue[#from_queue + 1] = task
    end
  end
  return rows, from_queue, from_verifying
end

local rows, from_queue, from_verifying = choose()
if #rows == 0 and reclaim(base, now, 10) > 0 then
  rows, from_queue, from_verifying = choose()
end

local assign_time = string.format('%.0f', math.floor(now / 1000))
if #rows > 0 then
  local ids, deadlines = {}, {}
  for i, row in ipairs(rows) do
    local seconds = tonumber(row[6] or 0)
    ids[i] = row[1]
    deadlines[2 * i - 1] = now + (seconds > 0 and seconds or default_time) * 1000
    deadlines[2 * i] = row[1]
    redis.call('HSET', base .. ':task:' .. row[1], 'assignee', worker, 'assign_time', assign_time)
  end
  if #from_queue > 0 then
    redis.call('ZREM', base .. ':queue', unpack(from_queue))
  end
  if #from_verifying > 0 then
    redis.call('ZREM', base .. ':verifying', unpack(from_verifying))
  end
  redis.call('ZADD', base .. ':assigned', unpack(deadlines))
  redis.call('SADD', base .. ':held:' .. worker, unpack(ids))
  redis.call('SADD', base .. ':assignees', worker)
  redis.call('HINCRBY', base .. ':counters', 'assigned', #rows)
  rate_charge(base, 'assign', fields[4], now_us, #rows)
end
return { fields[1], assign_time, unpack(rows) }
