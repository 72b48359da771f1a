--[[ stats: how many tasks are in each state, and totals since the project began.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2+] names of totals

  Returns  {waiting, verifying, delayed, assigned, failed; how many groups are ready, resting, full, blocked, as in
           include/group_states.lua; how many tasks failed at their last attempt; how many workers request access;
           total...}, a total as text, false if it was never counted
  Refuses  NOT_FOUND
  Cost     O(totals)
]]
--- @include "clock"
--- @include "group_states"
--- @include "project"

local base = KEYS[1]
local now = clock(ARGV[1])

local totals = project(base, 'group_waiting', 'group_verifying', unpack(ARGV, 2))
if not totals then
  return redis.error_reply('NOT_FOUND No such project')
end

-- How many groups are in each part of a state.
local function counts(parts)
  local found = {}
  for i, part in ipairs(parts) do
    local set, lowest, highest = unpack(part)
    found[i] = redis.call('ZCOUNT', base .. set, lowest, highest)
  end
  return unpack(found)
end

local states = group_states(now)
local fresh, voted, come = counts(states.ready)
local due, resting = counts(states.resting)
return {
  redis.call('ZCARD', base .. ':queue') + (totals[2] or 0),
  redis.call('ZCARD', base .. ':verifying') + (totals[3] or 0),
  redis.call('ZCARD', base .. ':delayed'),
  redis.call('ZCARD', base .. ':assigned'),
  redis.call('ZCARD', base .. ':failed'),
  -- A group with tickets in both sets counts once. That is exact if the groups of the smaller set are all in the other.
  math.max(fresh, voted) + come,
  due + resting,
  (counts(states.full)),
  (counts(states.blocked)),
  redis.call('HLEN', base .. ':errors'),
  redis.call('HLEN', base .. ':requests'),
  unpack(totals, 4, #ARGV + 2),
}
