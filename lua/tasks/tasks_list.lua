--[[ tasks_list: a page of the tasks in one state, in the order in which they come up.

  A task without a record is left out, but counts in the number of all. Tasks that wait in groups follow those without a
  group, group by group, for the first 1,000 groups.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  'queue', 'verifying', 'delayed', 'assigned' or 'failed'
  ARGV[2]  offset
  ARGV[3]  how many, 500 or fewer
  ARGV[4]  bytes of recipes and votes at which to stop; one task is always returned
  ARGV[5]  bytes of a recipe to return at most, up to a whole character; 0 for all
  ARGV[6]  about how many votes of a task to return at most
  ARGV[7]  about how many votes of all tasks to return at most

  Returns  {how many there are, task...}, a task as in include/manager_row.lua
  Refuses  NOT_FOUND
  Cost     O(log tasks in this state + tasks + votes)
]]
--- @include "group_key"
--- @include "project"
--- @include "task_of"
--- @include "manager_row"

local base, state, offset, count = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local bytes, longest = tonumber(ARGV[4]), tonumber(ARGV[5])
local most_votes, votes_left = tonumber(ARGV[6]), tonumber(ARGV[7])

local fields = project(base, 'group_gen', 'group_waiting', 'group_verifying')
if not fields then
  return redis.error_reply('NOT_FOUND No such project')
end

local key = base .. ':' .. state
local found = redis.call('ZRANGE', key, offset, offset + count - 1, 'WITHSCORES')
local total = redis.call('ZCARD', key)
local in_groups = tonumber(state == 'queue' and fields[3] or state == 'verifying' and fields[4] or 0)

-- Adds tasks that wait in groups to the page; groups that may start one come first.
local function add_grouped()
  local skip, looked = math.max(0, offset - total), 0
  for _, set in ipairs({ state == 'queue' and ':ready' or ':ready_voted', ':due' }) do
    for _, group in ipairs(redis.call('ZRANGE', base .. set, 0, 999 - looked)) do
      looked = looked + 1
      local waits = group_key(base, state, fields[2], group)
      local there = redis.call('ZCARD', waits)
      local last = skip + count - #found / 2 - 1
      for _, value in ipairs(skip < there and last >= skip and redis.call('ZRANGE', waits, skip, last,
        'WITHSCORES') or {}) do
        found[#found + 1] = value
      end
      skip = math.max(0, skip - there)
      if #found == 2 * count then
        return
      end
    end
  end
end

if in_groups > 0 and #found < 2 * count then
  add_grouped()
end
local rows, size = {}, 0
for i = 1, #found, 2 do
  local id = state == 'assigned' and task_of(found[i]) or found[i]
  local task, length, votes = manager_row(base, id, found[i + 1], longest, math.min(most_votes, votes_left))
  if task then
    size = size + length
    if size > bytes and #rows > 0 then
      break
    end
    rows[#rows + 1] = task
    votes_left = math.max(0, votes_left - votes)
  end
end
return { total + in_groups, unpack(rows) }
