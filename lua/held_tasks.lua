--[[ held_tasks: what a worker holds, so that it can go on where it was after a crash.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  worker id
  ARGV[2]  cursor, '0' to begin
  ARGV[3]  about how many tasks

  Returns  {next cursor ('0' at the end), revision, task...}, a task as in assign, with its assign time (unix s) as the
           eighth; a task may come twice
  Refuses  NOT_FOUND
  Cost     O(tasks)
]]
--- @include "project"
--- @include "hold"

local base, worker, cursor, count = KEYS[1], ARGV[1], ARGV[2], ARGV[3]

local fields = project(base)
if not fields then
  return redis.error_reply('NOT_FOUND No such project')
end

local scan = redis.call('SSCAN', base .. ':held:' .. worker, cursor, 'COUNT', count)
local rows = {}
for _, task in ipairs(scan[2]) do
  -- What a maintenance call has taken from the worker is listed until the call gets to it.
  if held(base, task, worker) then
    local row = redis.call('HMGET', base .. ':task:' .. task, 'recipe', 'priority', 'retries', 'max_retries',
      'max_assign_time', 'verification_count', 'assign_time')
    rows[#rows + 1] = { task, unpack(row, 1, 7) }
  end
end
return { scan[1], fields[1], unpack(rows) }
