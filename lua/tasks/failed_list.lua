--[[ failed_list: failed tasks that match a filter, the last to fail first.

  It checks some of the newest ones, counts those that match, and returns a page of them.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  how many of the newest failed tasks to skip
  ARGV[2]  how many to check at most, 500 or fewer, and 2 kB for each
  ARGV[3]  a text in the recipe or in the message of the failure, '' for any
  ARGV[4]  group, '' for any
  ARGV[5]  worker that failed the task, '' for any
  ARGV[6]  how many of the matching tasks to skip
  ARGV[7]  how many to return at most, 50 or fewer
  ARGV[8]  bytes of a recipe to return at most, up to a whole character

  Returns  {how many failed tasks there are; how many were checked; how many of these match; task...}, a task as in
           include/manager_row.lua, without votes
  Refuses  NOT_FOUND
  Cost     O(log failed + tasks)
]]
--- @include "project"
--- @include "find_matching"
--- @include "manager_row"

local base, from, looks = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local filter = { state = 'failed', contains = ARGV[3], group = ARGV[4], worker = ARGV[5] }
local skip, most, longest = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])

if not project(base) then
  return redis.error_reply('NOT_FOUND No such project')
end
local rows, looked, matched, bytes = {}, 0, 0, 0
local newest = redis.call('ZRANGE', base .. ':failed', from, from + looks - 1, 'REV', 'WITHSCORES')
for i = 1, #newest, 2 do
  if bytes >= 2048 * looks then
    break
  end
  local task = newest[i]
  local record = redis.call('HGET', bucket_of(base, task))
  local place, read = nil, 0
  if record then
    place, read = match(base, filter, task, record)
  end
  looked, bytes = looked + 1, bytes + read
  if place then
    matched = matched + 1
    if matched > skip and #rows < most then
      rows[#rows + 1] = manager_row(base, task, newest[i + 1], longest, 0)
    end
  end
end
return { redis.call('ZCARD', base .. ':failed'), looked, matched, unpack(rows) }
