--- @include "tickets"

-- leave_waiting(base, now, left): removes tasks from the waiting tasks of their groups. `left` has {task, state, group}
-- for each; the state is 'queue' or 'verifying'.
local function leave_waiting(base, now, left)
  local groups, names = open_groups(base, now), {}
  for _, one in ipairs(left) do
    local task, state, group = unpack(one)
    local is_voted = state == 'verifying'
    local count, prefix = is_voted and 'verifying' or 'waiting', is_voted and groups.verify_prefix or groups.wait_prefix
    groups[count] = groups[count] - redis.call('ZREM', prefix .. group, task)
    if not names[group] then
      names[group] = true
      names[#names + 1] = group
    end
  end
  for _, group in ipairs(names) do
    leave_group(groups, group)
  end
  close_groups(groups)
end
