--[[ slow_groups: a worker slows down the groups of tasks that it holds, before it releases them.

  Workers can only slow down: they cannot set a shorter delay than the managers did, or end a manager's block. Nothing
  changes for a task that the worker does not hold or that has no group, or if the worker was granted no access.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  worker id
  ARGV[2]  now, unix ms; '' outside tests
  ARGV[3+] three for each task, at most 500 tasks: task id; the delay of its group, ms, at most an hour; ms for which
           the group is blocked, at most a day. '' leaves them as they are, '-' ends what workers have set

  Returns  how many changes were made; a group may be changed twice
  Refuses  nothing
  Cost     O(tasks * log groups)
]]
--- @include "assignment"
--- @include "clock"
--- @include "project"
--- @include "records"

local base, guard, worker = KEYS[1], KEYS[2], ARGV[1]
local now = clock(ARGV[2])
local LONGEST_DELAY, LONGEST_BLOCK = 3600000, 86400000

local fields = project(base, 'awaited')
if not fields or redis.call('HEXISTS', base .. ':access', worker) == 0 then
  return 0
end

local places, tasks = {}, {}
for i = 3, #ARGV, 3 do
  if redis.call('ZSCORE', base .. ':assigned', assignment(ARGV[i], worker)) then
    places[#places + 1], tasks[#tasks + 1] = i, ARGV[i]
  end
end
local changes = {}
for n, record in ipairs(#tasks > 0 and records_of(base, tasks) or {}) do
  local _, _, group = parse_record(record)
  if (group or '') ~= '' then
    changes[#changes + 1] = { group = group, delay = ARGV[places[n] + 1], block = ARGV[places[n] + 2] }
  end
end
if #changes == 0 then
  return 0
end

--- @include "change_group"
--- @include "wake"
redis.call('DEL', guard)
local groups = open_groups(base, now)
for _, change in ipairs(changes) do
  local group = change.group
  local delay, limit, slowed, blocked, by = own_limits(groups, group)
  if change.delay ~= '' then
    local wanted = math.min(tonumber(change.delay) or 0, LONGEST_DELAY)
    slowed = wanted > (delay or groups.delay) and wanted or 0
  end
  local is_managers = (delay or limit or blocked > now) and string.find(by, '^manager ')
  if change.block == '-' then
    blocked = is_managers and blocked or 0
  elseif change.block ~= '' then
    blocked = math.max(blocked, now + math.min(change.block, LONGEST_BLOCK))
  end
  change_group(groups, group, delay, limit, slowed, blocked, is_managers and by or 'worker ' .. worker)
end
promote(groups, #changes)
close_groups(groups)
wake(base, fields[2], now, groups.tickets, groups.voted_tickets)
return #changes
