--[[ task_import: tasks that come from elsewhere, with their retries and votes; duplicates are refused one by one.

  A source is one dump or file. Its tasks come in order, under numbers of its own; those at or below the mark came
  before. So a repeated import is harmless, and one that was cut short goes on where it stopped. Pause, rate and access
  do not hold it up. A task with as many equal votes as it needs closes at once, as by a release. At maxmemory nothing
  is taken.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  the source
  ARGV[2]  now, unix ms; '' outside tests
  ARGV[3]  the last id that no new task may have: they begin above it. 0 for none
  ARGV[4+] for each task, at most 500: number in the source, '1' when it has failed, retries, votes
           ('worker:verification,...'), and its fields as in include/task.lua

  Returns  for each, in the order given: 1 imported, 2 imported and closed, 0 a duplicate, -1 came before
  Refuses  NOT_FOUND, TOO_LARGE
  Cost     O(tasks * log queue + votes)
]]
--- @include "clock"
--- @include "project"
--- @include "add_tasks"
--- @include "close"
--- @include "delete_task"
--- @include "wake"

local base, source = KEYS[1], ARGV[1]
local now, _, created = clock(ARGV[2])

local fields = project(base, 'remember_closed', 'seq', 'imported', 'awaited', 'chain')
if not fields then
  return redis.error_reply('NOT_FOUND No such project')
end

-- What stands before the fields of a task, and how far it is to the next.
local NUMBER, FAILED, RETRIES, VOTES = 0, 1, 2, 3
local STEP = 4 + #FIELDS

local remember, seq, imported = tonumber(fields[2] or 0), tonumber(fields[3] or 0), fields[4] or 0

-- They come in order: those that came before are the first ones.
local outcomes, first = {}, 4
local mark = tonumber(redis.call('HGET', base .. ':imported', source) or 0)
while ARGV[first] and tonumber(ARGV[first]) <= mark do
  outcomes[#outcomes + 1] = -1
  first = first + STEP
end
if not ARGV[first] then
  return outcomes
end

seq = math.max(seq, math.floor(ARGV[3] / 100000))
local full = too_many(seq, (#ARGV - first + 1) / STEP)
if full then
  return redis.error_reply(full)
end

-- Each worker has one vote, the first that is given. Whether as many agree as are needed.
local function vote(task, votes, needed)
  local key, enough = base .. ':task:' .. task, false
  for worker, verification in string.gmatch(votes, '(%d+):(-?%d+)') do
    if redis.call('HSETNX', key .. ':verifiers', worker, verification) == 1 then
      local tally = key .. ':tally:' .. verification
      redis.call('SADD', tally, worker)
      enough = enough or redis.call('SCARD', tally) >= tonumber(needed)
    end
  end
  return enough
end

-- Moves a task that waits to those that hold votes.
local function verify(task)
  local score = redis.call('ZSCORE', base .. ':queue', task)
  redis.call('ZREM', base .. ':queue', task)
  redis.call('ZADD', base .. ':verifying', score, task)
  redis.call('SADD', base .. ':voted', task)
end

-- Nobody would be left to vote on it.
local function close_now(task, hash)
  redis.call('ZREM', base .. ':queue', task)
  if hash ~= '' then
    redis.call('SREM', base .. ':hashes', hash)
  end
  close(base, task, hash ~= '' and hash, fields[6] or '0', fields[2] or '0', ARGV[2])
  delete_task(base, task)
end

local fresh, voted, closed = 0, 0, 0
local ids, count = add_tasks(base, ARGV, first + 4, STEP, seq, remember, now, created)
for n, task in ipairs(ids) do
  local i = first + STEP * (n - 1)
  local failed, retries, votes = ARGV[i + FAILED] == '1', ARGV[i + RETRIES], ARGV[i + VOTES]
  local outcome = task and 1 or 0
  if task and retries ~= '0' then
    redis.call('HSET', base .. ':task:' .. task, 'retries', retries)
  end
  local enough = task and votes ~= '' and vote(task, votes, ARGV[i + VOTES + VERIFICATION_COUNT])
  if task and failed then
    redis.call('ZREM', base .. ':queue', task)
    redis.call('ZADD', base .. ':failed', now, task)
  elseif enough then
    close_now(task, ARGV[i + VOTES + HASH])
    closed, outcome = closed + 1, 2
  elseif task and votes ~= '' then
    verify(task)
    voted = voted + 1
  elseif task then
    fresh = fresh + 1
  end
  outcomes[#outcomes + 1] = outcome
end
redis.call('HSET', base .. ':imported', source, ARGV[#ARGV - STEP + 1 + NUMBER])
redis.call('HSET', base, 'seq', string.format('%.0f', seq + count), 'imported', imported + count)
if count < #ids then
  redis.call('HINCRBY', base, 'duplicates', #ids - count)
end
if closed > 0 then
  redis.call('HINCRBY', base, 'closed', closed)
end
wake(base, fields[5], now, fresh, voted)
return outcomes
