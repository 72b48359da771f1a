--[[ release: a worker reports on tasks that it holds: ok, fail or skip.

  Only a release by the worker that holds the task changes anything; the worker may be paused, or have lost its access.
  OK closes the task, or votes if several workers must agree; after `max_votes` votes without agreement the task fails.
  A task that closes may come again: then it is delayed, its next round begins, and it keeps its id and hash. FAIL
  counts a retry, which is delayed by the project's `retry_delay`. A task that is put back waits at the END of its
  priority. Votes stay until the task closes. A task without a record is dropped, and counts as not held.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  worker id
  ARGV[2]  now, unix ms; '' outside tests
  ARGV[3+] three for each task, at most 500 tasks: task id; result; verification (int64). The result is 0 (ok), 1 (fail)
           or 2 (skip), or that, a space, ms, a space, and why the task failed. A task that closes comes again after
           these ms, one that fails or is skipped is delayed by them; '' for the default

  Returns  {how many tasks went to the outbox, the epoch as of submit or 0, outcome...}, each outcome 'closed', 'voted',
           'failed', 'returned' or 'not_held'
  Refuses  nothing
  Cost     O(tasks * (log queue + votes))
]]
--- @include "clock"
--- @include "project"
--- @include "assignment"
--- @include "close_hashes"
--- @include "send_on"
--- @include "delete_records"

local base, worker, given_now = KEYS[1], ARGV[1], ARGV[2]
local OK, FAIL = '0', '1'

-- In a deleted project no task is held: each one below is 'not_held'.
local settings = project(base, 'chain', 'awaited', 'remember_closed', 'known_hashes') or {}
local _, chain, awaited, remember, known = unpack(settings, 1, 5)

-- Takes the tasks from the worker. Returns those that it held, and where in ARGV each of them is. This removal is the
-- first write: the server allows it when memory is full, and then all that follow.
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
  return { 0, 0, unpack(outcomes) }
end

chain = chain or '0'
local closed, gone, gone_hashes, epoch = 0, {}, {}, 0
-- How many releases are FAIL.
local fails = 0
-- For tasks with a group or without a record: their members of `:assigned`, and the `names` for free_groups.
local members, names

local function close_task(task, record, hash, newline)
  closed = closed + 1
  send_on(base, task, record, newline, chain)
  if newline == '' then
    redis.call('DEL', base .. ':recipe:' .. task)
  end
  gone[#gone + 1] = task
  if hash ~= '' then
    gone_hashes[#gone_hashes + 1] = hash
  end
end

-- report(others, records): the outcomes of tasks that do not simply close; `others` are their indexes in `tasks`. Most
-- calls have none.
local function report(others, records)
  --- @include "read_record"
  --- @include "set_counts"
  --- @include "votes"
  --- @include "requeue"
  --- @include "drop_orphans"
  --- @include "fail_task"
  --- @include "backoff"
  --- @include "delay_tasks"
  --- @include "wake"
  local counts, back, back_fields, orphans, delayed, cleared = {}, {}, {}, {}, {}, {}
  local now = clock(given_now)
  local retry_delay, longest_delay, max_votes = unpack(redis.call('HMGET', base, 'retry_delay', 'retry_delay_max',
    'max_votes'))

  local function count(name)
    counts[name] = (counts[name] or 0) + 1
  end

  local function go_back(task, fields, delay)
    if delay > 0 then
      delayed[#delayed + 1], delayed[#delayed + 2] = now + delay, task
    else
      back[#back + 1] = task
      back_fields[#back] = fields
    end
    return 'returned'
  end

  -- A task closes and comes again after so many ms, in its next round.
  local function begin_round(task, record, fields, delay)
    closed = closed + 1
    send_on(base, task, record, fields.recipe_at and '\n' or '', chain)
    fields.retries, fields.reclaims, fields.round = 0, 0, fields.round + 1
    set_counts(base, task, record, fields)
    go_back(task, fields, delay)
  end

  local function finish(task, record, fields, delay)
    if fields.retries + fields.reclaims > 0 then
      cleared[#cleared + 1] = task
    end
    if delay > 0 then
      begin_round(task, record, fields, delay)
    else
      close_task(task, record, fields.hash, fields.recipe_at and '\n' or '')
    end
    return 'closed'
  end

  local function vote(task, record, fields, delay, verification)
    local needed, most = fields.verification_count, tonumber(max_votes or 0)
    count('voted')
    local agree = add_vote(base, task, worker, verification) or 0
    if agree >= needed then
      delete_votes(base, { task })
      return finish(task, record, fields, delay)
    end
    local votes = most > 0 and redis.call('HLEN', base .. ':votes:' .. task) or 0
    if most > 0 and votes >= math.max(most, needed) then
      fail_task(base, task, '0', now, string.format('no %d of %d agree', needed, votes))
      return 'failed'
    end
    go_back(task, fields, 0)
    return 'voted'
  end

  local function fail(task, record, fields, delay, message)
    fails = fails + 1
    fields.retries = fields.retries + 1
    set_counts(base, task, record, fields)
    if fields.retries < fields.max_retries then
      count('retried')
      delay = delay or backoff(fields.retries, retry_delay, longest_delay, tonumber(string.sub(task, 1, -6)))
      note_error(base, task, worker, now, now + delay + math.min(delay, 60000), message)
      return go_back(task, fields, delay)
    end
    fail_task(base, task, worker, now, message)
    return 'failed'
  end

  for _, i in ipairs(others) do
    local task, place, record = tasks[i], places[i], records[i]
    local fields, outcome = read_record(record), 'not_held'
    local result, delay, message = string.match(ARGV[place + 1], '^(%d) ?(%d*) ?(.*)$')
    delay = tonumber(delay)
    if not fields then
      orphans[#orphans + 1] = task
    elseif result == OK and fields.verification_count <= 1 then
      outcome = finish(task, record, fields, delay or 0)
    elseif result == OK then
      outcome = vote(task, record, fields, delay or 0, ARGV[place + 2])
    elseif result == FAIL then
      outcome = fail(task, record, fields, delay, message)
    else
      count('skipped')
      outcome = go_back(task, fields, delay or 0)
    end
    outcomes[place / 3] = outcome
  end
  drop_orphans(base, orphans)
  if #cleared > 0 then
    redis.call('HDEL', base .. ':errors', unpack(cleared))
  end
  delay_tasks(base, now, awaited, delayed)
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
  if fresh + voted > 0 then
    --- @include "enlist"
    epoch = math.max(epoch, enlist(base, redis.call('HGET', base, 'listed')))
  end
end

local records, buckets = records_of(base, tasks)
local others = {}
for i, record in ipairs(records) do
  local place = places[i]
  local created, hash, group, newline, _, counts, _, needed = parse_record(record)
  if created and counts == '' and ARGV[place + 1] == OK and (needed == '' or needed == '1') then
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
  local free = free_groups(base, now, members, names)
  wake(base, awaited, now, free, 0)
  if free > 0 then
    --- @include "enlist"
    epoch = enlist(base, redis.call('HGET', base, 'listed'))
  end
end
if #others > 0 then
  report(others, records)
end
redis.call('HDEL', base .. ':holders', unpack(tasks))
if #gone > 0 then
  delete_records(base, gone, #gone == #tasks and buckets or nil)
  close_hashes(base, gone_hashes, remember, known, remember ~= '0' and clock(given_now))
end
if closed > 0 then
  redis.call('HINCRBY', base, 'closed', closed)
  redis.call('HINCRBY', base .. ':closed', worker, closed)
end
if fails > 0 then
  redis.call('HINCRBY', base .. ':closed', '-' .. worker, fails)
end
return { chain ~= '0' and closed or 0, epoch, unpack(outcomes) }
