--[[ task_import: import tasks with their retries and votes; duplicates are refused one by one.

  A source is a dump or a file. Its tasks have numbers and come in their order; numbers up to the mark were imported
  before. So an import may be repeated, and one that was interrupted continues where it stopped. Pause, rates and access
  do not apply. A task with as many equal votes as it needs closes at once, as by a release. At maxmemory nothing is
  imported.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  the source
  ARGV[2]  now, unix ms; '' outside tests
  ARGV[3]  new tasks get ids above this one; 0 for any
  ARGV[4+] for each task, at most 500: number in the source, '1' when it has failed, votes
           ('worker:verification,...'), its last error as in `:errors` or '', and its text with its counts, as in
           include/task.lua

  Returns  for each, in the order given: 1 imported, 2 imported and closed, 0 a duplicate, -1 imported before
  Refuses  NOT_FOUND, TOO_LARGE
  Cost     O(tasks * log queue + votes)
]]
--- @include "clock"
--- @include "project"
--- @include "add_tasks"
--- @include "send_on"
--- @include "close_hashes"
--- @include "delay_tasks"
--- @include "delete_tasks"
--- @include "not_before"
--- @include "read_record"
--- @include "requeue"
--- @include "votes"
--- @include "wake"

local base, source = KEYS[1], ARGV[1]
local now, _, created = clock(ARGV[2])

local fields = project(base, 'seq', 'place', 'imported', 'awaited', 'chain', 'remember_closed',
  'known_hashes')
if not fields then
  return redis.error_reply('NOT_FOUND No such project')
end

-- Offsets of the arguments of a task, and from a task to the next.
local FAILED, VOTES, ERROR, TEXT, STEP = 1, 2, 3, 4, 5

local seq, place, imported, awaited, chain, remember, known = unpack(fields, 2, 8)

-- Tasks are in order, so those that were imported before come first.
local outcomes, first = {}, 4
local mark = tonumber(redis.call('HGET', base .. ':imported', source) or 0)
while ARGV[first] and tonumber(ARGV[first]) <= mark do
  outcomes[#outcomes + 1] = -1
  first = first + STEP
end
if not ARGV[first] then
  return outcomes
end

seq = math.max(tonumber(seq or 0), math.floor(ARGV[3] / 100000))
local full = too_many(seq, (#ARGV - first + 1) / STEP)
if full then
  return redis.error_reply(full)
end

-- Adds the votes; of two votes of a worker, the first counts. Returns whether as many agree as are needed.
local function vote(task, votes, needed)
  local enough = false
  for worker, verification in string.gmatch(votes, '(%d+):(-?%d+)') do
    enough = (add_vote(base, task, worker, verification) or 0) >= needed or enough
  end
  return enough
end

-- add_tasks does not queue tasks that have failed or have votes.
local new = { seq = seq, place = tonumber(place or 0), remember_closed = remember, known_hashes = known, now = now,
  created = created, awaited = awaited, apart = {} }
for i = first, #ARGV, STEP do
  new.apart[i + TEXT] = ARGV[i + FAILED] == '1' or ARGV[i + VOTES] ~= ''
end
local ids, count, fresh = add_tasks(base, ARGV, first + TEXT, STEP, new)
redis.call('HSET', base, 'seq', string.format('%.0f', new.seq), 'place', new.place, 'imported',
  (imported or 0) + count)

local closed, closed_hashes, verifying, verifying_fields, delayed = {}, {}, {}, {}, {}
for n, task in ipairs(ids) do
  local i = first + STEP * (n - 1)
  local failed, votes = ARGV[i + FAILED] == '1', ARGV[i + VOTES]
  local outcome = task and 1 or 0
  local ready_at, text = not_before(ARGV[i + TEXT], now)
  local record = created .. ' ' .. text
  local task_fields = task and read_record(record)
  local enough = task and votes ~= '' and vote(task, votes, task_fields.verification_count)
  if task and ARGV[i + ERROR] ~= '' then
    redis.call('HSET', base .. ':errors', task, ARGV[i + ERROR])
  end
  if task and failed then
    redis.call('SREM', base .. ':voted', task)
    redis.call('ZADD', base .. ':failed', now, task)
  elseif enough then
    -- It has all votes that it needs: nobody else would vote on it.
    closed[#closed + 1] = task
    send_on(base, task, record, '\n', chain or '0')
    closed_hashes[#closed_hashes + 1] = task_fields.hash ~= '' and task_fields.hash or nil
    outcome = 2
  elseif task and votes ~= '' and ready_at then
    delayed[#delayed + 1], delayed[#delayed + 2] = ready_at, task
  elseif task and votes ~= '' then
    verifying[#verifying + 1] = task
    verifying_fields[#verifying] = task_fields
  end
  outcomes[#outcomes + 1] = outcome
end
delay_tasks(base, now, awaited, delayed)
local also_fresh, voted = requeue(base, now, verifying, verifying_fields)
delete_tasks(base, closed)
close_hashes(base, closed_hashes, remember, redis.call('HGET', base, 'known_hashes'), now)
redis.call('HSET', base .. ':imported', source, ARGV[#ARGV - STEP + 1])
if count < #ids then
  redis.call('HINCRBY', base, 'duplicates', #ids - count)
end
if #closed > 0 then
  redis.call('HINCRBY', base, 'closed', #closed)
end
wake(base, awaited, now, fresh + also_fresh, voted)
return outcomes
