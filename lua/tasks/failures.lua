--[[ failures: why tasks have failed: the messages of some of the newest failed tasks, and how often each occurs.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  how many of the newest failed tasks to skip
  ARGV[2]  how many to read, at most 500

  Returns  for each message {message, '' for none; how many tasks have it; when the last of them failed (unix ms); its
           id}
  Refuses  NOT_FOUND
  Cost     O(log failed + tasks)
]]
--- @include "project"

local base, from, count = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])

if not project(base) then
  return redis.error_reply('NOT_FOUND No such project')
end
local newest = redis.call('ZRANGE', base .. ':failed', from, from + count - 1, 'REV', 'WITHSCORES')
if #newest == 0 then
  return {}
end
local tasks = {}
for i = 1, #newest, 2 do
  tasks[#tasks + 1] = newest[i]
end
local rows, of_message = {}, {}
for i, error in ipairs(redis.call('HMGET', base .. ':errors', unpack(tasks))) do
  -- A pattern that captures the message too would scan it character by character.
  local message = error and string.sub(error, string.match(error, '^%d+ %d+ %d+ ()') or 1) or ''
  local row = of_message[message]
  if not row then
    row = { message, 0, newest[2 * i], tasks[i] }
    of_message[message], rows[#rows + 1] = row, row
  end
  row[2] = row[2] + 1
end
return rows
