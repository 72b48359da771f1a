--[[ check_records: compare the records of a range of entries with the sets, and repair what differs if asked to.

  A task that is in no set or in two, or has votes and waits among those without, or the other way round, waits again,
  unless a worker holds it. The tally is counted again from the votes; `:voted` and the known hashes are completed. A
  record that cannot be read is dropped, and counted as orphaned. Run check_members for all sets first: it corrects
  `:holders`, from which this script takes who holds a task.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  first entry
  ARGV[2]  how many entries to check, at most 5,000
  ARGV[3]  about how many tasks at most, 500 or fewer
  ARGV[4]  '1' to repair, '' to change nothing
  ARGV[5]  now, unix ms; '' outside tests

  Returns  {entry to go on with; last entry there is; how many tasks; {what differs, its task, ...}: 'record',
           'nowhere', 'state', 'ticket', 'votes', 'voted' or 'known'; {hash...} of the tasks}
  Refuses  NOT_FOUND
  Cost     O(entries + tasks * (log queue + votes + maintenance calls in progress))
]]
--- @include "clock"
--- @include "project"
--- @include "ids"
--- @include "find_drained"
--- @include "group_key"
--- @include "read_record"
--- @include "records"
--- @include "is_lost"
--- @include "drop_orphans"
--- @include "requeue"
--- @include "hashes"

local base, guard = KEYS[1], KEYS[2]
local first, entries, limit, repair = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'
local now = clock(ARGV[5])

local project_fields = project(base, 'seq', 'known_hashes', 'group_gen')
if not project_fields then
  return redis.error_reply('NOT_FOUND No such project')
end
local last = tonumber(project_fields[2] or 0)
if repair then
  redis.call('DEL', guard)
end

local tasks, members, records, found = {}, {}, {}, {}
local entry, stop, suffix = first, math.min(first + entries - 1, last), suffix_of(base)
while entry <= stop and #tasks < limit do
  local bucket = math.floor(entry / 32)
  local list = redis.call('HGETALL', string.format('%s:tasks:%d', base, bucket))
  for i = 1, #list, 2 do
    local n = string.match(list[i], '^%d+$')
    if n and tonumber(n) >= first and math.floor(tonumber(n) / 32) == bucket then
      tasks[#tasks + 1] = n .. suffix
      records[#tasks] = list[i + 1]
    end
  end
  entry = 32 * (bucket + 1)
end
local onward = math.min(entry, stop + 1)
if #tasks == 0 then
  return { onward, last, 0, found, {} }
end

local STATES = { 'assigned', 'queue', 'verifying', 'delayed', 'failed' }
local scores, group_scores, groups_of = {}, {}, {}
for i, value in ipairs(redis.call('HMGET', base .. ':holders', unpack(tasks))) do
  members[i] = assignment(tasks[i], string.match(value or '', '^(%d+) %d+') or '')
end
for _, state in ipairs(STATES) do
  scores[state] = redis.call('ZMSCORE', base .. ':' .. state, unpack(state == 'assigned' and members or tasks))
end

local drains = redis.call('HGETALL', base .. ':drains')
local known = family_of(base, 'known', project_fields[3] or nil)
local hashes, back, back_fields, lost = {}, {}, {}, {}

-- differs(what, task): notes a difference. Returns whether to repair it.
local function differs(what, task)
  found[#found + 1], found[#found + 2] = what, task
  return repair
end

-- Takes a task out of all states but this one.
local function take_out(i, but)
  for _, state in ipairs(STATES) do
    if group_scores[state .. i] and state ~= but then
      --- @include "leave_waiting"
      leave_waiting(base, now, { { tasks[i], state, groups_of[i] } })
    end
    if scores[state][i] and state ~= but then
      redis.call('ZREM', base .. ':' .. state, state == 'assigned' and members[i] or tasks[i])
    end
  end
end

local function send_back(i, fields)
  take_out(i, 'assigned')
  if not scores.assigned[i] then
    back[#back + 1] = tasks[i]
    back_fields[#back] = fields
  end
end

-- check_votes(task, votes, failed): the tally must count these votes, and `:voted` must have a task with votes that has
-- not failed.
local function check_votes(task, votes, failed)
  local tally_key, counts, list = base .. ':tally:' .. task, {}, {}
  for _, verification in ipairs(votes) do
    counts[verification] = (counts[verification] or 0) + 1
  end
  local tally = redis.call('HGETALL', tally_key)
  local same = true
  for i = 1, #tally, 2 do
    same = same and tostring(counts[tally[i]]) == tally[i + 1]
  end
  for verification, count in pairs(counts) do
    list[#list + 1], list[#list + 2] = verification, count
  end
  if not (same and #tally == #list) and differs('votes', task) then
    redis.call('DEL', tally_key)
    for i = 1, #list, 2 do
      redis.call('HSET', tally_key, list[i], list[i + 1])
    end
  end
  local is_voted, should = redis.call('SISMEMBER', base .. ':voted', task) == 1, #votes > 0 and not failed
  if is_voted ~= should and differs('voted', task) then
    if should then
      redis.call('SADD', base .. ':voted', task)
    else
      redis.call('SREM', base .. ':voted', task)
    end
  end
end

local function check_hash(task, hash)
  local number = number_of(known.salt, hash)
  hashes[#hashes + 1] = hash
  -- Without the field of the family, no script finds its hashes.
  local is_known = not known.is_new and redis.call('SISMEMBER', bucket_for(known, number), hash) == 1
  if not is_known and differs('known', task) then
    add_hash(known, hash, number)
  end
end

local function check(i, task, fields, operation)
  local votes = fields.verification_count > 1 and redis.call('HVALS', base .. ':votes:' .. task) or {}
  local count = 0
  for _, state in ipairs(STATES) do
    count = count + (scores[state][i] and 1 or 0)
  end
  local wrong = scores[#votes > 0 and 'queue' or 'verifying'][i]
  local what = count == 0 and not operation and 'nowhere' or (count > 1 or wrong) and 'state'
  if what and differs(what, task) then
    send_back(i, fields)
  end
  local failed = not what and scores.failed[i] or operation == 'reset_failed'
  if fields.verification_count > 1 then
    check_votes(task, votes, failed)
  end
  if fields.hash ~= '' then
    check_hash(task, fields.hash)
  end
end

-- A group with waiting tasks must have a ticket or be in `:due`, from where it is promoted.
local function check_ticket(task, group, set)
  local there = redis.call('ZSCORE', base .. ':due', group) or redis.call('ZSCORE', base .. set, group)
  if not there and differs('ticket', task) then
    local rest = redis.call('ZSCORE', base .. ':resting', group)
    redis.call('ZREM', base .. ':resting', group)
    redis.call('ZADD', base .. ':due', rest or now, group)
  end
end

-- A task with a group waits in the sets of its group.
local function look_in_group(i, group)
  groups_of[i] = group
  for _, state in ipairs({ 'queue', 'verifying' }) do
    local score = redis.call('ZSCORE', group_key(base, state, project_fields[4], group), tasks[i])
    scores[state][i] = scores[state][i] or score
    group_scores[state .. i] = score
    if score then
      check_ticket(tasks[i], group, state == 'queue' and ':ready' or ':ready_voted')
    end
  end
end

for i, task in ipairs(tasks) do
  local fields = read_record(records[i])
  local group = fields and fields.group or ''
  if group ~= '' then
    look_in_group(i, group)
  end
  local somewhere = scores.assigned[i] or scores.queue[i] or scores.verifying[i] or scores.delayed[i]
    or scores.failed[i]
  local operation = not somewhere and find_drained(base, drains, task, group) or nil
  -- A task that maintenance deletes is in no other set.
  if operation ~= 'hard_reset' and operation ~= 'delete' then
    if is_lost(base, task, fields) then
      if differs('record', task) then
        take_out(i)
        lost[#lost + 1] = task
      end
    else
      check(i, task, fields, operation)
    end
  end
end
drop_orphans(base, lost)
requeue(base, now, back, back_fields)
write_family(base, known)
return { onward, last, #tasks, found, hashes }
