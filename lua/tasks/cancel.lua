--[[ cancel: delete tasks that no worker holds, also those that others submitted, with their votes and hashes.

  Not those that a maintenance call is working off. One that has lost its record is dropped, and its hash stays taken.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  worker id
  ARGV[2]  now, unix ms; '' outside tests
  ARGV[3+] task ids, at most 500

  Returns  one number per task, in the order asked: 1 deleted, else 0: also a task that is named again, and all of them
           when the worker may not submit to the project
  Refuses  nothing
  Cost     O(tasks * (log queue + votes))
]]
--- @include "clock"
--- @include "project"
--- @include "remove_found"

local base, guard, worker = KEYS[1], KEYS[2], ARGV[1]
local now = clock(ARGV[2])

local may = project(base) and string.find(redis.call('HGET', base .. ':access', worker) or '', 'submit', 1, true)
local cancelled, tasks, places, named = {}, {}, {}, {}
for i = 3, #ARGV do
  local task = ARGV[i]
  local place = may and not named[task] and { find_task(base, task) } or {}
  named[task] = true
  local free = place[1] and place[1] ~= 'assigned'
  if free then
    tasks[#tasks + 1], places[#places + 1] = task, place
  end
  cancelled[i - 2] = free and 1 or 0
end
if #tasks > 0 then
  redis.call('DEL', guard)
  remove_found(base, now, tasks, places)
end
return cancelled
