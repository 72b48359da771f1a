--[[ tasks_list: a page of the tasks in one state, in the order in which they come up.

  A member of the set that has lost its record is left out; the number of all still counts it.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  'queue', 'verifying', 'assigned' or 'failed'
  ARGV[2]  offset
  ARGV[3]  how many, 500 or fewer
  ARGV[4]  bytes of recipes and votes at which to stop; one task is always given
  ARGV[5]  bytes of a recipe to give at most, up to a whole character; 0 for all
  ARGV[6]  about how many votes of a task to give at most

  Returns  {how many there are, task...}, a task as in include/manager_row.lua
  Refuses  NOT_FOUND
  Cost     O(log tasks in this state + tasks + votes)
]]
--- @include "project"
--- @include "task_of"
--- @include "manager_row"

local base, state, offset, count = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local bytes, longest, most_votes = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])

if not project(base) then
  return redis.error_reply('NOT_FOUND No such project')
end

local key = base .. ':' .. state
local found = redis.call('ZRANGE', key, offset, offset + count - 1, 'WITHSCORES')
local rows, size = {}, 0
for i = 1, #found, 2 do
  local id = state == 'assigned' and task_of(found[i]) or found[i]
  local task, length = manager_row(base, id, found[i + 1], longest, most_votes)
  if task then
    size = size + length
    if size > bytes and #rows > 0 then
      break
    end
    rows[#rows + 1] = task
  end
end
return { redis.call('ZCARD', key), unpack(rows) }
