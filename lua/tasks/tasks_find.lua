--[[ tasks_find: tasks that match a filter, by number.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  1 for the oldest first, -1 for the newest
  ARGV[2]  number of the entry to begin with; '' for the first or last one
  ARGV[3]  state, '' for any
  ARGV[4]  a text in the recipe or in the message of the last failure, '' for any
  ARGV[5]  group, '' for any
  ARGV[6]  worker that holds the task or failed it last, '' for any
  ARGV[7]  how many tasks to return at most
  ARGV[8]  how many to check at most, 500 or fewer; also 10 times as many buckets of 32 entries, and 2 kB for each task
  ARGV[9]  bytes of a recipe to return at most, up to a whole character; 0 for all
  ARGV[10] about how many votes of a task to return at most
  ARGV[11] about how many votes of all tasks to return at most

  Returns  {entry to go on with, false at the end; how many were checked; bytes read and returned; task...}, a task as
           in include/manager_row.lua. It stops at 2 kB for each task that it may check, after a whole task
  Refuses  NOT_FOUND
  Cost     O(entries / 32 + tasks * log queue + votes)
]]
--- @include "project"
--- @include "find_matching"
--- @include "manager_row"

local base = KEYS[1]
local filter = { state = ARGV[3], contains = ARGV[4], group = ARGV[5], worker = ARGV[6] }
local count, longest = tonumber(ARGV[7]), tonumber(ARGV[9])
local most_votes, votes_left = tonumber(ARGV[10]), tonumber(ARGV[11])

local fields = project(base, 'seq')
if not fields then
  return redis.error_reply('NOT_FOUND No such project')
end
local walk = { step = tonumber(ARGV[1]), looks = tonumber(ARGV[8]) }
local last = tonumber(fields[2] or 0)
local entry = tonumber(ARGV[2])
if walk.step == 1 then
  walk.entry, walk.last = entry or 0, last
else
  walk.entry, walk.last = math.min(entry or last, last), 0
end

local rows, size = {}, 0
for _, one in ipairs(find_matching(base, filter, walk, count)) do
  if size > 2048 * walk.looks then
    walk.entry = one.n
    break
  end
  local row, length, votes = manager_row(base, one.task, one.place[2], longest, math.min(most_votes, votes_left))
  if row then
    rows[#rows + 1], size = row, size + length
    votes_left = math.max(0, votes_left - votes)
  end
end
return { walk.entry or false, walk.looked, walk.bytes + size, unpack(rows) }
