--- @include "find_task"
--- @include "remove_tasks"
--- @include "tickets"

-- remove_found(base, now, tasks, places): takes up to 500 different tasks from where they are, and deletes them;
-- `places` are what find_task answers for each. Their hashes are free at once. As remove_tasks.
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
