--- @include "tickets"

-- leave_waiting(base, now, task, state, group): takes a task out of what waits in its group: 'queue' or 'verifying'.
local function leave_waiting(base, now, task, state, group)
  local groups, is_voted = open_groups(base, now), state == 'verifying'
  local count = is_voted and 'verifying' or 'waiting'
  local prefix = is_voted and groups.verify_prefix or groups.wait_prefix
  groups[count] = groups[count] - redis.call('ZREM', prefix .. group, task)
  leave_group(groups, group)
  close_groups(groups)
end
