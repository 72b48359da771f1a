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
--- @include "close_hashes"
--- @include "close"
--- @include "delete_records"

local base, worker, given_now = KEYS[1], ARGV[1], ARGV[2]
local OK, FAIL = '0', '1'

-- A project that is gone holds nothing: every task below is then 'not_held'.
local settings = project(base, 'chain', 'awaited', 'remember_closed', 'known_hashes') or {}
local _, chain, awaited, remember, known = unpack(settings, 1, 5)

-- Takes the tasks from the worker, and answers those that it held, and where in ARGV each of them is. This removal
-- comes first: the server lets it through when memory is full, and with it what follows.
local function take_back()
  if #ARGV == 5 then
    local held = redis.call('ZREM', base .. ':assigned', assignment(ARGV[3], worker)) == 1
    return held and { ARGV[3] } or {}, { 3 }
  end
  local members, held, places, mine, seen = {}, {}, {}, {}, {}
  for i = 3, #ARGV, 3 do
    members[#members + 1] = assignment(ARGV[i], worker)
  end
  local deadlines = #members > 0 and redis.call('ZMSCORE', base .. ':assigned', unpack(members)) or {}
  for n, deadline in ipairs(deadlines) do
    local task = ARGV[3 * n]
    if deadline and not seen[task] then
      local count = #held + 1
      seen[task], held[count], places[count], mine[count] = true, task, 3 * n, members[n]
    end
  end
  if #mine > 0 then
    redis.call('ZREM', base .. ':assigned', unpack(mine))
  end
  return held, places
end

local outcomes = {}
for n = 1, (#ARGV - 2) / 3 do
  outcomes[n] = 'not_held'
end
local tasks, places = take_back()
if #tasks == 0 then
  return { 0, unpack(outcomes) }
end

chain = chain or '0'
local closed, gone, gone_hashes = 0, {}, {}
-- Of tasks that have a group or have lost their record: members of `assigned`, and what include/free_groups.lua wants.
local members, names

local function close_task(task, record, hash, newline)
  closed = closed + 1
  close(base, task, record, newline, chain)
  gone[closed] = task
  if hash ~= '' then
    gone_hashes[#gone_hashes + 1] = hash
  end
end

-- report(others, records): the outcomes of those that do not simply close, by where they are in `tasks`. Most calls
-- have none.
local function report(others, records)
  --- @include "read_record"
  --- @include "set_retries"
  --- @include "votes"
  --- @include "requeue"
  --- @include "drop_orphans"
  --- @include "wake"
  local counts, back, back_fields, orphans = {}, {}, {}, {}
  local now = clock(given_now)

  local function count(name)
    counts[name] = (counts[name] or 0) + 1
  end

  local function go_back(task, fields)
    back[#back + 1] = task
    back_fields[#back] = fields
    return 'returned'
  end

  local function vote(task, record, fields, verification)
    count('voted')
    if (add_vote(base, task, worker, verification) or 0) < fields.verification_count then
      go_back(task, fields)
      return 'voted'
    end
    delete_votes(base, { task })
    close_task(task, record, fields.hash, fields.recipe_at and '\n' or '')
    return 'closed'
  end

  local function fail(task, record, fields)
    local retries = fields.retries + 1
    set_retries(base, task, record, fields, retries)
    if retries < fields.max_retries then
      count('retried')
      return go_back(task, fields)
    end
    count('failed')
    if fields.verification_count > 1 then
      redis.call('SREM', base .. ':voted', task)
    end
    redis.call('ZADD', base .. ':failed', now, task)
    return 'failed'
  end

  for _, i in ipairs(others) do
    local task, place, record = tasks[i], places[i], records[i]
    local result, fields = ARGV[place + 1], read_record(record)
    if not fields then
      orphans[#orphans + 1] = task
    elseif result == OK then
      outcomes[place / 3] = vote(task, record, fields, ARGV[place + 2])
    elseif result == FAIL then
      outcomes[place / 3] = fail(task, record, fields)
    else
      count('skipped')
      outcomes[place / 3] = go_back(task, fields)
    end
  end
  drop_orphans(base, orphans)
  local own_votes = #back > 0 and not counts.skipped and not counts.retried
  local voted_place = own_votes and redis.call('HGET', base, 'voted_place')
  local fresh, voted = requeue(base, now, back, back_fields)
  if own_votes then
    --- @include "note_own_votes"
    note_own_votes(base, worker, voted_place)
  end
  for name, total in pairs(counts) do
    redis.call('HINCRBY', base, name, total)
  end
  wake(base, awaited, now, fresh, voted)
end

local records, buckets = records_of(base, tasks)
local others = {}
for i, record in ipairs(records) do
  local place = places[i]
  local created, hash, _, _, _, needed, _, group, newline = parse_record(record)
  if created and ARGV[place + 1] == OK and (needed == '' or needed == '1') then
    close_task(tasks[i], record, hash, newline)
    outcomes[place / 3] = 'closed'
  else
    others[#others + 1] = i
  end
  if group ~= '' then
    members, names = members or {}, names or {}
    members[#members + 1] = assignment(tasks[i], worker)
    names[#members] = group or false
  end
end
if members then
  --- @include "free_groups"
  --- @include "wake"
  local now = clock(given_now)
  wake(base, awaited, now, free_groups(base, now, members, names), 0)
end
if #others > 0 then
  report(others, records)
end
redis.call('HDEL', base .. ':holders', unpack(tasks))
if closed > 0 then
  delete_records(base, gone, #gone == #tasks and buckets or nil)
  close_hashes(base, gone_hashes, remember, known, remember ~= '0' and clock(given_now))
  redis.call('HINCRBY', base, 'closed', closed)
  redis.call('HINCRBY', base .. ':closed', worker, closed)
end
return { chain ~= '0' and closed or 0, unpack(outcomes) }
