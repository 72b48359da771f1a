--[[ release: a worker reports on tasks that it holds: ok, fail or skip.

  Only the holder changes anything; a paused or revoked worker still may. OK closes, or votes where several workers must
  agree. FAIL counts a retry. What goes back takes the END of its priority; votes stand through everything but closing.

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
--- @include "hold"
--- @include "close"

local base, guard, worker = KEYS[1], KEYS[2], ARGV[1]
local now = clock(ARGV[2])
local OK, FAIL = '0', '1'

-- A project that is gone holds nothing: every task below is then 'not_held'.
local fields = project(base, 'chain', 'remember_closed') or {}
local chain, remember = fields[2] or '0', tonumber(fields[3] or 0)
local counts, outcomes = {}, {}

redis.call('DEL', guard)

local function succeed(task, vote)
  local key = base .. ':task:' .. task
  local needed = tonumber(redis.call('HGET', key, 'verification_count') or 1)
  if needed > 1 then
    counts.voted = (counts.voted or 0) + 1
    redis.call('HSET', key .. ':verifiers', worker, vote)
    redis.call('SADD', base .. ':voted', task)
    redis.call('SADD', key .. ':tally:' .. vote, worker)
    if redis.call('SCARD', key .. ':tally:' .. vote) < needed then
      give_back(base, task, worker)
      return 'voted'
    end
  end
  unassign(base, task, worker)
  close(base, task, chain, remember, now)
  counts.closed = (counts.closed or 0) + 1
  return 'closed'
end

local function fail(task)
  local key = base .. ':task:' .. task
  local retries = redis.call('HINCRBY', key, 'retries', 1)
  if retries < tonumber(redis.call('HGET', key, 'max_retries') or 0) then
    counts.retried = (counts.retried or 0) + 1
    give_back(base, task, worker)
    return 'returned'
  end
  counts.failed = (counts.failed or 0) + 1
  unassign(base, task, worker)
  redis.call('HDEL', key, 'assignee', 'assign_time')
  redis.call('SREM', base .. ':voted', task)
  redis.call('ZADD', base .. ':failed', now, task)
  return 'failed'
end

local function skip(task)
  counts.skipped = (counts.skipped or 0) + 1
  give_back(base, task, worker)
  return 'returned'
end

for i = 3, #ARGV, 3 do
  local task, result, vote = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local outcome = 'not_held'
  if held(base, task, worker) then
    outcome = result == OK and succeed(task, vote) or result == FAIL and fail(task) or skip(task)
  end
  outcomes[#outcomes + 1] = outcome
end

for name, count in pairs(counts) do
  redis.call('HINCRBY', base .. ':counters', name, count)
end
if counts.closed then
  redis.call('HINCRBY', base .. ':closed', worker, counts.closed)
end
return { chain ~= '0' and counts.closed or 0, unpack(outcomes) }
