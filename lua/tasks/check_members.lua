--[[ check_members: compare some members of a set with their tasks, and repair what differs if asked to.

  A member without a record is removed, and counted as orphaned. `:holders` gets the worker that holds the task. `seq`
  and `place` are raised to the highest numbers in use.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  'queue', 'verifying', 'delayed', 'assigned', 'failed', 'voted', 'holders' or 'errors'
  ARGV[2]  cursor, '0' to begin
  ARGV[3]  about how many members to check, 200 or fewer
  ARGV[4]  '1' to repair, '' to change nothing
  ARGV[5]  now, unix ms; '' outside tests

  Returns  {next cursor, '0' at the end; {what differs, its task, ...}}: 'record', 'number', 'holder',
           'state' (two workers hold it), 'voted' or 'error'
  Refuses  NOT_FOUND
  Cost     O(members * (log queue + votes + maintenance calls in progress))
]]
--- @include "clock"
--- @include "project"
--- @include "ids"
--- @include "task_of"
--- @include "find_drained"
--- @include "read_record"
--- @include "records"
--- @include "is_lost"
--- @include "drop_orphans"

local base, guard, name, cursor, count = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3]
local repair = ARGV[4] == '1'
local _, _, seconds = clock(ARGV[5])

local fields = project(base, 'seq', 'place')
if not fields then
  return redis.error_reply('NOT_FOUND No such project')
end
local seq, place = tonumber(fields[2] or 0), tonumber(fields[3] or 0)
if repair then
  redis.call('DEL', guard)
end

local key, found = base .. ':' .. name, {}

-- differs(what, task): notes a difference. Returns whether to repair it.
local function differs(what, task)
  found[#found + 1], found[#found + 2] = what, task
  return repair
end

local function raise(field, number)
  redis.call('HSET', base, field, string.format('%.0f', number))
  return number
end

-- Removes members that are not live tasks with votes. Missing members are found by check_records.
local function check_voted(tasks)
  for i, record in ipairs((records_of(base, tasks))) do
    if not record or redis.call('EXISTS', base .. ':votes:' .. tasks[i]) == 0 then
      if differs('voted', tasks[i]) then
        delete_votes(base, { tasks[i] })
      end
    end
  end
end

local function check_holders(list)
  local drains = redis.call('HGETALL', base .. ':drains')
  for i = 1, #list, 2 do
    local task, worker = list[i], string.match(list[i + 1], '^(%d+) %d+')
    local held = worker and redis.call('ZSCORE', base .. ':assigned', assignment(task, worker))
    if not held and not find_drained(base, drains, task, '') and differs('holder', task) then
      redis.call('HDEL', key, task)
    end
  end
end

-- Removes errors of tasks that are not live.
local function check_errors(list)
  local tasks = {}
  for i = 1, #list, 2 do
    tasks[#tasks + 1] = list[i]
  end
  for i, record in ipairs((records_of(base, tasks))) do
    if not record and differs('error', tasks[i]) then
      redis.call('HDEL', key, tasks[i])
    end
  end
end

-- For a member of `:assigned`: `:holders` must name its worker.
local function check_holder(member, task, worker)
  local named = holder_of(base, task)
  if named == worker then
    return
  end
  if named and redis.call('ZSCORE', key, assignment(task, named)) then
    if differs('state', task) then
      redis.call('ZREM', key, member)
    end
  elseif differs('holder', task) then
    redis.call('HSET', base .. ':holders', task, worker .. ' ' .. seconds)
  end
end

local function check_tasks(list)
  local tasks, lost = {}, {}
  for i = 1, #list, 2 do
    tasks[#tasks + 1] = task_of(list[i])
  end
  for i, record in ipairs((records_of(base, tasks))) do
    local task, member, score = tasks[i], list[2 * i - 1], tonumber(list[2 * i])
    local record_fields = read_record(record)
    local number, its_place = tonumber((string.sub(task, 1, -6))), score % PRIORITY_STEP
    if is_lost(base, task, record_fields) then
      if differs('record', task) then
        redis.call('ZREM', key, member)
        lost[#lost + 1] = task
      end
    else
      if number > seq and number <= LAST_ENTRY and differs('number', task) then
        seq = raise('seq', number)
      end
      if (name == 'queue' or name == 'verifying') and its_place > place and differs('number', task) then
        place = raise('place', its_place)
      end
      if name == 'assigned' then
        check_holder(member, task, string.sub(member, #task + 2))
      end
    end
  end
  drop_orphans(base, lost)
end

local scan
if name == 'voted' then
  scan = redis.call('SSCAN', key, cursor, 'COUNT', count)
  check_voted(scan[2])
elseif name == 'holders' then
  scan = redis.call('HSCAN', key, cursor, 'COUNT', count)
  check_holders(scan[2])
elseif name == 'errors' then
  scan = redis.call('HSCAN', key, cursor, 'COUNT', count)
  check_errors(scan[2])
else
  scan = redis.call('ZSCAN', key, cursor, 'COUNT', count)
  check_tasks(scan[2])
end
return { scan[1], found }
