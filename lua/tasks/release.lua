--[[ release: a worker reports on tasks that it holds: ok, fail or skip.

  Only the holder changes anything; a paused or revoked worker still may. OK closes, or votes where several workers must
  agree. FAIL counts a retry. What goes back takes the END of its priority; votes stand through everything but closing.
  A task that has lost its record is dropped, and was not held.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  worker id
  ARGV[2]  now, unix ms; '' outside tests
  ARGV[3+] three for each task, at most 500 tasks: task id, result (0 ok, 1 fail, 2 skip), verification (int64)

  Returns  {how many tasks went to the outbox, outcome...}, an outcome being 'closed', 'voted', 'failed', 'returned'
           or 'not_held'
  Refuses  nothing
  Cost     O(tasks * (log queue + votes))
]]
--- @include "clock"
--- @include "project"
--- @include "assignment"
--- @include "close"
--- @include "drop_orphan"
--- @include "wake"

local base, worker, given_now = KEYS[1], ARGV[1], ARGV[2]
local OK, FAIL = '0', '1'

-- A project that is gone holds nothing: every task below is then 'not_held'.
local fields = project(base, 'chain', 'remember_closed', 'awaited') or {}
local chain, remember, awaited = fields[2] or '0', fields[3] or '0', fields[4]

-- Takes the tasks from the worker, and answers a table with true for each that it held. This removal comes first: the
-- server lets it through when memory is full, and with it what follows.
local function take_back()
  local members, taken, mine = {}, {}, {}
  for i = 3, #ARGV, 3 do
    members[#members + 1] = assignment(ARGV[i], worker)
  end
  if #members == 1 then
    taken[ARGV[3]] = redis.call('ZREM', base .. ':assigned', members[1]) == 1
    return taken
  end
  local deadlines = #members > 0 and redis.call('ZMSCORE', base .. ':assigned', unpack(members)) or {}
  for i, deadline in ipairs(deadlines) do
    if deadline then
      taken[ARGV[3 * i]] = true
      mine[#mine + 1] = members[i]
    end
  end
  if #mine > 0 then
    redis.call('ZREM', base .. ':assigned', unpack(mine))
  end
  return taken
end

local counts, gone, freed = {}, {}, {}
local waits = { fresh = 0, voted = 0 }

-- Whether the task waits again; it does not when its record is gone.
local function back(task)
  local how = unassign(base, task)
  if how then
    waits[how] = waits[how] + 1
  end
  return how
end

-- Adds the vote; whether as many workers agree now as are needed.
local function agreed(task, key, vote, needed)
  counts.voted = (counts.voted or 0) + 1
  redis.call('HSET', key .. ':verifiers', worker, vote)
  redis.call('SADD', base .. ':voted', task)
  redis.call('SADD', key .. ':tally:' .. vote, worker)
  return redis.call('SCARD', key .. ':tally:' .. vote) >= tonumber(needed)
end

local function succeed(task, vote)
  local key = base .. ':task:' .. task
  local created, needed, hash = unpack(redis.call('HMGET', key, 'created', 'verification_count', 'hash'))
  if not created then
    drop_orphan(base, task)
    return 'not_held'
  end
  if needed and not agreed(task, key, vote, needed) then
    back(task)
    return 'voted'
  end
  counts.closed = (counts.closed or 0) + 1
  close(base, task, hash, chain, remember, given_now)
  if hash then
    freed[#freed + 1] = hash
  end
  if needed then
    delete_task(base, task)
  else
    gone[#gone + 1] = key
  end
  return 'closed'
end

local function fail(task)
  local key = base .. ':task:' .. task
  local created, most = unpack(redis.call('HMGET', key, 'created', 'max_retries'))
  if not created then
    drop_orphan(base, task)
    return 'not_held'
  end
  if redis.call('HINCRBY', key, 'retries', 1) < tonumber(most or 0) then
    counts.retried = (counts.retried or 0) + 1
    back(task)
    return 'returned'
  end
  counts.failed = (counts.failed or 0) + 1
  redis.call('HDEL', key, 'assignee', 'assign_time')
  redis.call('SREM', base .. ':voted', task)
  redis.call('ZADD', base .. ':failed', clock(given_now), task)
  return 'failed'
end

local function skip(task)
  if not back(task) then
    return 'not_held'
  end
  counts.skipped = (counts.skipped or 0) + 1
  return 'returned'
end

local taken, outcomes = take_back(), {}
for i = 3, #ARGV, 3 do
  local task, result, vote = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local outcome = 'not_held'
  if taken[task] then
    -- Named once more in this call, it is held no longer.
    taken[task] = nil
    outcome = result == OK and succeed(task, vote) or result == FAIL and fail(task) or skip(task)
  end
  outcomes[#outcomes + 1] = outcome
end

if #freed > 0 then
  redis.call('SREM', base .. ':hashes', unpack(freed))
end
if #gone > 0 then
  redis.call('DEL', unpack(gone))
end
for name, count in pairs(counts) do
  redis.call('HINCRBY', base, name, count)
end
if counts.closed then
  redis.call('HINCRBY', base .. ':closed', worker, counts.closed)
end
if awaited and waits.fresh + waits.voted > 0 then
  wake(base, awaited, clock(given_now), waits.fresh, waits.voted)
end
return { chain ~= '0' and counts.closed or 0, unpack(outcomes) }
