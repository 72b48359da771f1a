--- @include "find_task"
--- @include "remove_tasks"
--- @include "tickets"

-- remove_found(base, now, tasks, places): as remove_tasks, but takes the tasks out of their sets first. They must be
-- different ones; `places` are the lists of what find_task returns for each.
local function remove_found(base, now, tasks, places)
  local left, held, members = {}, {}, {}
  for i, task in ipairs(tasks) do
    local state, _, key, member, group = unpack(places[i])
    if group then
      left[#left + 1] = { task, state, group }
    else
      redis.call('ZREM', key, member)
    end
    if state == 'assigned' then
      held[#held + 1], members[#members + 1] = task, member
    end
  end
  if #left > 0 then
    --- @include "leave_waiting"
    leave_waiting(base, now, left)
  end
  if #held > 0 then
    --- @include "free_groups"
    --- @include "wake"
    local names = {}
    for i, record in ipairs((records_of(base, held))) do
      local created, _, group = parse_record(record)
      names[i] = created and group
    end
    wake(base, redis.call('HGET', base, 'awaited'), now, free_groups(base, now, members, names), 0)
  end
  remove_tasks(base, tasks)
end
