--- @include "full"

-- group_states(now): by state, where the groups are that are in it: sets, and which scores of each. 'ready': they may
-- start a task; 'resting': not before some time; 'full': as many are held as may be; 'blocked': these rest or are full
-- as well. With votes and without, a group may be in two sets of 'ready'.
local function group_states(now)
  local full, states = string.format('%d', FULL), {}
  states.ready = { { ':ready', '-inf', '+inf' }, { ':ready_voted', '-inf', '+inf' }, { ':due', '-inf', now } }
  states.resting = { { ':due', '(' .. now, '(' .. full }, { ':resting', '(' .. now, '+inf' } }
  states.full = { { ':due', full, '+inf' } }
  states.blocked = { { ':blocked', '(' .. now, '+inf' } }
  return states
end
