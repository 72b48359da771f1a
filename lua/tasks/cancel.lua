--[[ cancel: delete tasks that no worker holds, also those that others submitted, with their votes and hashes.

  Tasks that a maintenance call has taken are not deleted. A task without a record is dropped, and its hash stays taken.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  worker id
  ARGV[2]  now, unix ms; '' outside tests
  ARGV[3+] task ids, at most 500

  Returns  for each task, in the order asked, 1 if it was deleted, else 0: also for a task that is named again, and for
           all if the worker may not submit to the project
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
