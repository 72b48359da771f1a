--[[ assign: give a worker the best tasks that wait; the worker holds them until their deadline.

  The best by score of the tasks without a group and of the groups that may start one, never a task that the worker has
  voted on. Groups whose time has come may start one from here on, and delayed tasks wait, of each at most 4 more than
  tasks are asked for, and no more than 100 of the latter. With a `retry_delay`, up to 16 tasks that this worker was the
  last to fail are left to others for a time, unless nothing else is there. When nothing waits, up to 10 overdue tasks
  are reclaimed, and it looks again. A task that has lost its record is dropped, and the next one taken instead, until
  1,000 were dropped.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  worker id
  ARGV[2]  now, unix ms; '' outside tests
  ARGV[3]  how many tasks, at most 500
  ARGV[4]  bytes of recipes at which to stop; one task is always given
  ARGV[5]  seconds to hold a task that says 0
  ARGV[6]  '1' for the first chunk of a call, '' for a later one, which the rate does not hold up; or where to go on
  ARGV[7]  if given, seconds to hold the tasks at most, and those that say 0; '' for as long as they say
  ARGV[8]  if '1', what is left to others stays there though nothing else is there, and workers that wait are told

  Returns  {revision; assign time (unix s); where another call at once is to go on, when it found none but did not get
           to the end; 'left', when all that it found was left to others; else ''; task...}, two for each task: its id,
           its record
  Refuses  NOT_FOUND, PAUSED, DENIED, RATE_LIMITED
  Cost     O((tasks + dropped + groups) * log queue), at most 1,500 dropped, 2 * tasks + 8 groups, as many delayed
           tasks, and 1,000 steps among tasks with votes
]]
--- @include "clock"
--- @include "project"
--- @include "project_rate"
--- @include "assignment"
--- @include "records"
--- @include "with_recipe"

local base, guard, worker = KEYS[1], KEYS[2], ARGV[1]
local now, now_us, assign_time = clock(ARGV[2])
local count, bytes, default_time = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local first_chunk, hold = ARGV[6] == '1', ARGV[7] and tonumber(ARGV[7])

local fields = project(base, 'paused', 'public', 'assign_rate', 'assign_paid_off', 'assigned')
if not fields then
  return redis.error_reply('NOT_FOUND No such project')
end
local revision, paused, public, rate, paid_off, assigned = unpack(fields, 1, 6)
if paused == '1' then
  return redis.error_reply('PAUSED The project is paused')
end
if public ~= '1' and redis.call('HEXISTS', base .. ':access', worker) == 0 then
  return redis.error_reply('DENIED This worker may not get tasks of the project')
end
local wait = first_chunk and wait_for_rate(rate, paid_off, now_us) or 0
if wait > 0 then
  return redis.error_reply(string.format('RATE_LIMITED %.0f', wait))
end

local MOST_ORPHANS = 1000
-- How many tasks are left to others, and how many may be; what is left goes back to the queue with its score.
local orphans, left_to_others, most_left, left = 0, 0, 16, nil

-- read(tasks): for each {task =, record =, seconds = its max_assign_time, as text, size = bytes of its recipe}, and
-- `counted` if it has failed or was reclaimed before; or false: its record is gone, and it is dropped.
local function read(tasks)
  local found, lost = {}, {}
  for i, record in ipairs((records_of(base, tasks))) do
    local task = tasks[i]
    local created, _, _, _, seconds, _, counts, _, newline, recipe_at = parse_record(record)
    local whole = created and with_recipe(base, task, record, newline)
    if whole then
      found[i] = { task = task, record = whole, seconds = seconds, size = #whole - recipe_at + #newline }
      if counts ~= '' then
        found[i].counted = true
      end
    else
      found[i], lost[#lost + 1] = false, task
    end
  end
  if #lost > 0 then
    --- @include "drop_orphans"
    orphans = orphans + #lost
    drop_orphans(base, lost)
  end
  return found
end

-- The first of the queue, when no task waits for another vote.
local function take_first()
  local rows, size = {}, 0
  repeat
    local popped, before = redis.call('ZPOPMIN', base .. ':queue', count - #rows), orphans + left_to_others
    local tasks = {}
    for i = 1, #popped, 2 do
      tasks[#tasks + 1] = popped[i]
    end
    local found = #tasks > 0 and read(tasks) or {}
    for i, row in ipairs(found) do
      if row and row.counted and left_to_others < most_left then
        --- @include "is_for_others"
        local is_left = is_for_others(base, row.task, worker, now)
        most_left = is_left == nil and 0 or most_left
        if is_left then
          left_to_others, left = left_to_others + 1, left or {}
          left[#left + 1], left[#left + 2], row = popped[2 * i], row.task, false
        end
      end
      size = size + (row and row.size or 0)
      if row and size > bytes and #rows > 0 then
        for j = i, #tasks do
          if found[j] then
            redis.call('ZADD', base .. ':queue', popped[2 * j], tasks[j])
          end
        end
        return rows
      end
      if row then
        rows[#rows + 1] = row
      end
    end
  until orphans + left_to_others == before or orphans >= MOST_ORPHANS
  return rows
end

-- Whether a group may start a task for this worker, or is to be looked at again.
local function some_group_may_start()
  --- @include "has_seen_all"
  if redis.call('EXISTS', base .. ':ready') == 1 then
    return true
  elseif redis.call('EXISTS', base .. ':ready_voted') == 1
    and not has_seen_all(base, worker, tonumber(redis.call('HGET', base, 'voted_place') or 0)) then
    return true
  end
  local first_due = redis.call('ZRANGE', base .. ':due', 0, 0, 'WITHSCORES')[2]
  return first_due and (tonumber(first_due) <= now or redis.call('HGET', base, 'limits_walk'))
end

-- The best by score of the tasks without a group and of the groups that may start one, never a task that the worker has
-- voted on; and where another call may find some, when a bound was reached, else ''.
local function take_best()
  redis.call('DEL', guard)
  local tickets
  if some_group_may_start() then
    --- @include "take_tickets"
    tickets = open_tickets(base, now, worker, count)
  end
  local voted_place = tickets and tickets.groups.voted_place or tonumber(redis.call('HGET', base, 'voted_place') or 0)
  local walk, next_with_votes, close_votes
  if voted_place > 0 or redis.call('EXISTS', base .. ':verifying') == 1 then
    --- @include "unvoted"
    walk = open_walk(base, worker, voted_place, ARGV[6])
    next_with_votes = function()
      if not walk.done then
        return next_unvoted(walk, base .. ':verifying', walk.verifying, '')
      end
    end
    close_votes = close_walk
    if tickets then
      --- @include "unvoted_ticket"
      tickets.walk = walk
      tickets.best_voted = function(from_start)
        walk.tickets = from_start and from('-inf') or walk.tickets
        return unvoted_ticket(tickets.groups, walk)
      end
    else
      walk.tickets.ended = true
    end
  end
  local rows, from_queue, from_verifying, size, left_elsewhere = {}, 0, {}, 0, {}
  local page, at, behind = {}, 1, true

  -- Behind the first page it reads on only in place of orphans.
  local function first_queued()
    if behind and at > #page then
      page, at = redis.call('ZRANGE', base .. ':queue', from_queue, from_queue + count - 1, 'WITHSCORES'), 1
      behind = #page == 2 * count
    end
    return page[at], tonumber(page[at + 1] or math.huge)
  end

  local with_votes, voted_score
  if walk then
    with_votes, voted_score = next_with_votes()
  end
  while #rows < count and orphans < MOST_ORPHANS do
    local task, score = first_queued()
    local verify = with_votes and tonumber(voted_score) <= score
    if verify then
      task, score = with_votes, tonumber(voted_score)
    end
    local ticket = tickets and tickets.first()
    if ticket and not (task and score <= ticket.score) then
      task = ticket.task
    else
      ticket = nil
    end
    if not task then
      break
    end
    local row = read({ task })[1]
    local is_left = false
    if row and row.counted and left_to_others < most_left then
      --- @include "is_for_others"
      is_left = is_for_others(base, task, worker, now)
      most_left = is_left == nil and 0 or most_left
      left_to_others = left_to_others + (is_left and 1 or 0)
    end
    if is_left and (verify or ticket) then
      left_elsewhere[#left_elsewhere + 1], row = { task = task, score = score, ticket = ticket }, nil
    elseif is_left then
      left = left or {}
      left[#left + 1], left[#left + 2], row = score, task, nil
    end
    size = size + (row and row.size or 0)
    if row and size > bytes and #rows > 0 then
      break
    end
    if row then
      rows[#rows + 1] = row
    end
    if ticket and row then
      row.group = ticket.group
      tickets.start(ticket)
    elseif ticket and is_left then
      tickets.set_aside(ticket)
    elseif ticket then
      tickets.drop(ticket)
    elseif verify then
      from_verifying[#from_verifying + 1] = task
      with_votes, voted_score = next_with_votes()
    else
      from_queue, at = from_queue + 1, at + 2
    end
  end
  if from_queue > 0 then
    redis.call('ZREMRANGEBYRANK', base .. ':queue', 0, from_queue - 1)
  end
  if #from_verifying > 0 then
    redis.call('ZREM', base .. ':verifying', unpack(from_verifying))
  end
  for _, one in ipairs(left_elsewhere) do
    if one.ticket then
      tickets.put_back(one.ticket)
    else
      redis.call('ZADD', base .. ':verifying', one.score, one.task)
    end
    if walk then
      -- What it passed is not what the worker has voted on.
      walk.learns = false
    end
  end
  if tickets then
    tickets.close(#rows > 0)
  end
  local onward = walk and close_votes(walk) or ''
  return rows, onward == '' and tickets and tickets.more and '-' or onward
end

-- All begin with a write that the server lets through when memory is full, and with it what follows.
local others = redis.call('EXISTS', base .. ':verifying', base .. ':due', base .. ':ready', base .. ':ready_voted',
  base .. ':delayed')
local come, come_voted, more_come = 0, 0, false
if others > 0 and redis.call('EXISTS', base .. ':delayed') == 1 then
  redis.call('DEL', guard)
  --- @include "take_delayed"
  local looked
  local most = math.min(count + 4, 100)
  looked, come, come_voted = take_delayed(base, now, most)
  more_come = looked == most
  others = redis.call('EXISTS', base .. ':verifying', base .. ':due', base .. ':ready', base .. ':ready_voted')
end
local take = others == 0 and take_first or take_best
local rows, onward = take()
if left then
  redis.call('ZADD', base .. ':queue', unpack(left))
end
local only_left = #rows == 0 and left_to_others > 0 and ARGV[8] == '1'
if only_left then
  come = math.max(come, left_to_others)
elseif #rows == 0 and left_to_others > 0 then
  most_left = 0
  rows, onward = take()
end
if come + come_voted > #rows then
  --- @include "wake"
  wake(base, redis.call('HGET', base, 'awaited'), now, math.max(0, come - #rows), come_voted)
end
if #rows == 0 and more_come then
  onward = (onward or '') == '' and '-' or onward
end
local back = 0
while #rows == 0 and back == 0 and orphans < MOST_ORPHANS do
  local overdue = redis.call('ZRANGE', base .. ':assigned', '-inf', now, 'BYSCORE', 'LIMIT', 0, 10)
  if #overdue == 0 then
    break
  end
  --- @include "reclaim_held"
  back = reclaim_held(base, now, overdue)
  -- A group that is full no longer, as its task was reclaimed, is found by the next call.
  onward = '-'
  orphans = orphans + #overdue - back
end
if back > 0 then
  rows = take_best()
end

if only_left and (onward or '') == '' then
  onward = 'left'
end
local given = { revision, assign_time, #rows == 0 and onward or '' }
if #rows > 0 then
  local deadlines, holders, holder = {}, {}, worker .. ' ' .. assign_time
  for i, row in ipairs(rows) do
    local seconds = row.seconds
    if seconds == '' or seconds == '0' then
      seconds = hold or default_time
    elseif hold then
      seconds = math.min(hold, seconds)
    end
    deadlines[2 * i - 1] = now + seconds * 1000
    deadlines[2 * i] = assignment(row.task, worker)
    holders[2 * i - 1], holders[2 * i] = row.task, row.group and holder .. ' ' .. row.group or holder
    given[2 * i + 2], given[2 * i + 3] = row.task, row.record
  end
  redis.call('ZADD', base .. ':assigned', unpack(deadlines))
  redis.call('HSET', base .. ':holders', unpack(holders))
  redis.call('HSET', base, 'assigned', (assigned or 0) + #rows)
  charge_rate(base, 'assign_paid_off', rate, paid_off, now_us, #rows)
end
return given
