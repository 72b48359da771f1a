--- @include "full"

-- group_states(now): for each state, the sets and ranges of scores in which its groups are. 'ready': the group may
-- start a task; 'resting': not before some time; 'full': as many of its tasks are held as its limit allows; 'blocked':
-- such a group is resting or full as well. A group may be in two sets of 'ready': with votes and without.
local function group_states(now)
  local full, states = string.format('%d', FULL), {}
  states.ready = { { ':ready', '-inf', '+inf' }, { ':ready_voted', '-inf', '+inf' }, { ':due', '-inf', now } }
  states.resting = { { ':due', '(' .. now, '(' .. full }, { ':resting', '(' .. now, '+inf' } }
  states.full = { { ':due', full, '+inf' } }
  states.blocked = { { ':blocked', '(' .. now, '+inf' } }
  return states
end
