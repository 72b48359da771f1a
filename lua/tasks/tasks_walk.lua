--[[ tasks_walk: the live tasks of a range of entries.

  Entry n has the id n * 100000 + project for life, whatever its state. So a walk over all entries returns each task
  that is live during the whole walk exactly once, while the fleet works.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  first entry
  ARGV[2]  how many entries to check, at most 5,000
  ARGV[3]  how many tasks at most, 500 or fewer
  ARGV[4]  bytes of recipes and votes at which to stop; one task is always returned

  Returns  {entry to go on with, last entry, task...}, each task {state, task as in include/manager_row.lua}. A task
           that maintenance has taken to put it back has its former state
  Refuses  NOT_FOUND
  Cost     O(entries + tasks * (log queue + votes))
]]
--- @include "project"
--- @include "ids"
--- @include "find_task"
--- @include "find_drained"
--- @include "manager_row"

local base = KEYS[1]
local entry, entries, limit, bytes = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

local fields = project(base, 'seq')
if not fields then
  return redis.error_reply('NOT_FOUND No such project')
end
local last = tonumber(fields[2] or 0)
local stop = math.min(entry + entries - 1, last)
local suffix = suffix_of(base)
local drains = redis.call('HGETALL', base .. ':drains')

-- The state and score of a task, or those before maintenance took it to put it back; nil if it was deleted.
local function state_of(task)
  local state, score = find_task(base, task)
  if state then
    return state, score
  end
  local operation
  operation, state, score = find_drained(base, drains, task, '')
  if operation == 'reset_failed' or operation == 'reclaim_assigned' then
    return state, score
  end
end

-- numbers_in(bucket): the entries in a bucket, in order.
local function numbers_in(bucket)
  local numbers = {}
  for _, field in ipairs(redis.call('HKEYS', string.format('%s:tasks:%d', base, bucket))) do
    numbers[#numbers + 1] = tonumber(field)
  end
  table.sort(numbers)
  return numbers
end

local rows, size = {}, 0
while entry <= stop do
  local bucket = math.floor(entry / 32)
  for _, n in ipairs(numbers_in(bucket)) do
    local id = string.format('%.0f', n) .. suffix
    local state, score, task, length
    if n >= entry and n <= stop then
      state, score = state_of(id)
    end
    if state then
      task, length = manager_row(base, id, score, 0, math.huge)
    end
    if task then
      if #rows == limit or (size + length > bytes and #rows > 0) then
        return { n, last, unpack(rows) }
      end
      size = size + length
      rows[#rows + 1] = { state, task }
    end
  end
  entry = 32 * (bucket + 1)
end
return { math.min(entry, stop + 1), last, unpack(rows) }
