--[[ assign: give a worker the best tasks that wait; the worker holds them until their deadline.

  These are the tasks with the best scores, of those without a group and of the groups that may start one, but none on
  which the worker has voted. It first promotes groups whose time has come, at most 4 more than the tasks that it takes.
  With a `retry_delay`, up to 16 tasks that this worker was the last to fail are left to others for a time, unless there
  are no other tasks. Tasks without a record are dropped, up to 1,000 of them, and others taken instead.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  worker id
  ARGV[2]  now, unix ms; '' outside tests
  ARGV[3]  how many tasks, at most 500
  ARGV[4]  bytes of recipes at which to stop; one task is always returned
  ARGV[5]  seconds for which to hold a task whose max_assign_time is 0
  ARGV[6]  '1' for the first chunk of a call, '' for a later one, to which the rate does not apply; or where to go on,
           '-' after another script was called as asked for
  ARGV[7]  if given: hold each task for so many seconds at most, also one whose max_assign_time is 0; '' for no limit
  ARGV[8]  if '1': tasks that are left to others stay, even if there are no other tasks, and waiting workers are
           notified

  Returns  {revision; assign time (unix s); how another call may find tasks, or ''; id and record of each task...}. How:
           'promote' if delayed tasks are due: call `promote` first; 'reclaim' if nothing was found and tasks are
           overdue: call `reclaim` first; 'left' if all tasks are left to others: call later; else where to go on, after
           a bound was reached
  Refuses  NOT_FOUND, PAUSED, DENIED, RATE_LIMITED
  Cost     O((tasks + dropped + groups) * log queue), at most 1,500 dropped, 2 * tasks + 8 groups, and 1,000 steps
           among tasks with votes
]]
--- @include "clock"
--- @include "may_get"
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
if not may_get(base, worker, public) then
  return redis.error_reply('DENIED This worker may not get tasks of the project')
end
local wait = first_chunk and wait_for_rate(rate, paid_off, now_us) or 0
if wait > 0 then
  return redis.error_reply(string.format('RATE_LIMITED %.0f', wait))
end

local MOST_ORPHANS, MOST_LEFT = 1000, 16
-- How many tasks have no record, how many are left to others, and whether to leave tasks to others.
local orphans, left_to_others, leaves = 0, 0, true

-- read(tasks): for each {task =, record =, seconds = its max_assign_time as text, size = bytes of its recipe}, and
-- `left` if it is left to others; or false: it has no record, and was dropped. Then, whether more may be dropped.
local function read(tasks)
  local found, lost = {}, {}
  for i, record in ipairs((records_of(base, tasks))) do
    local task = tasks[i]
    local created, _, _, newline, recipe_at, counts, seconds = parse_record(record)
    local whole = created and with_recipe(base, task, record, newline)
    if whole then
      found[i] = { task = task, record = whole, seconds = seconds, size = #whole - recipe_at + #newline }
    else
      found[i], lost[#lost + 1] = false, task
    end
    -- Only tasks that have failed or were reclaimed before have counts.
    if whole and counts ~= '' and leaves and left_to_others < MOST_LEFT then
      --- @include "is_for_others"
      local is_left = is_for_others(base, task, worker, now)
      leaves = is_left ~= nil
      if is_left then
        left_to_others, found[i].left = left_to_others + 1, true
      end
    end
  end
  if #lost > 0 then
    --- @include "drop_orphans"
    orphans = orphans + #lost
    drop_orphans(base, lost)
  end
  return found, orphans < MOST_ORPHANS
end

-- Takes the first tasks of the queue; call it if no group and no task with votes may come before them. Tasks that are
-- left to others go back with their scores.
local function take_first()
  local rows, size, back = {}, 0, {}
  repeat
    local popped, before = redis.call('ZPOPMIN', base .. ':queue', count - #rows), orphans + left_to_others
    local tasks = {}
    for i = 1, #popped, 2 do
      tasks[#tasks + 1] = popped[i]
    end
    local enough = false
    for i, row in ipairs(#tasks > 0 and read(tasks) or {}) do
      enough = enough or row and not row.left and size + row.size > bytes and #rows > 0
      if row and (row.left or enough) then
        back[#back + 1], back[#back + 2] = popped[2 * i], row.task
      elseif row then
        rows[#rows + 1], size = row, size + row.size
      end
    end
  until enough or orphans + left_to_others == before or orphans >= MOST_ORPHANS
  for i = 1, #back, 2 do
    redis.call('ZADD', base .. ':queue', back[i], back[i + 1])
  end
  return rows
end

-- Each branch begins with a write that the server allows when memory is full: then it allows all that follow.
local others = redis.call('EXISTS', base .. ':verifying', base .. ':due', base .. ':ready', base .. ':ready_voted',
  base .. ':delayed')
local delays = others > 0 and redis.call('EXISTS', base .. ':delayed') == 1
if delays then
  --- @include "is_due"
  if first_chunk and is_due(base .. ':delayed', now) then
    return { revision, assign_time, 'promote' }
  end
  others = redis.call('EXISTS', base .. ':verifying', base .. ':due', base .. ':ready', base .. ':ready_voted')
end
local rows, onward, only_left
repeat
  if others == 0 then
    rows, onward = take_first(), ''
  else
    redis.call('DEL', guard)
    --- @include "take_best"
    rows, onward = take_best(base, { worker = worker, now = now, count = count, bytes = bytes, from = ARGV[6] }, read)
  end
  -- If there are no other tasks, those that are left to others are assigned, unless the caller can wait.
  only_left = #rows == 0 and left_to_others > 0
  local again = only_left and ARGV[8] ~= '1'
  if again then
    leaves, left_to_others = false, 0
  end
until not again
if only_left then
  --- @include "wake"
  wake(base, redis.call('HGET', base, 'awaited'), now, left_to_others, 0)
end
if #rows > 0 then
  onward = ''
else
  --- @include "is_due"
  if delays and is_due(base .. ':delayed', now) then
    onward = 'promote'
  elseif is_due(base .. ':assigned', now) then
    onward = 'reclaim'
  elseif onward == '' and only_left then
    onward = 'left'
  end
end

local given = { revision, assign_time, onward }
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
