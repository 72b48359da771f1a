--[[ stats: how many tasks are in each state, and totals since the project began.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2+] names of totals

  Returns  {waiting, verifying, assigned, failed; how many groups are ready, resting, full, blocked, as groups_list
           says; total...}, a total as text, false for one that was never counted
  Refuses  NOT_FOUND
  Cost     O(totals)
]]
--- @include "clock"
--- @include "full"
--- @include "project"

local base = KEYS[1]
local now = clock(ARGV[1])

local totals = project(base, 'group_waiting', 'group_verifying', unpack(ARGV, 2))
if not totals then
  return redis.error_reply('NOT_FOUND No such project')
end

local function count(set, lowest, highest)
  return redis.call('ZCOUNT', base .. set, lowest, highest)
end

local ready = math.max(redis.call('ZCARD', base .. ':ready'), redis.call('ZCARD', base .. ':ready_voted'))
return {
  redis.call('ZCARD', base .. ':queue') + (totals[2] or 0),
  redis.call('ZCARD', base .. ':verifying') + (totals[3] or 0),
  redis.call('ZCARD', base .. ':assigned'),
  redis.call('ZCARD', base .. ':failed'),
  ready + count(':due', '-inf', now),
  count(':due', '(' .. now, string.format('(%d', FULL)) + count(':resting', '(' .. now, '+inf'),
  count(':due', FULL, '+inf'),
  count(':blocked', '(' .. now, '+inf'),
  unpack(totals, 4, #ARGV + 2),
}
