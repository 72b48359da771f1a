--[[ stats: how many tasks are in each state, and totals since the project began.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1+] names of totals

  Returns  {waiting, verifying, assigned, failed, total...}, a total as text, false for one that was never counted
  Refuses  NOT_FOUND
  Cost     O(totals)
]]
--- @include "project"

local base = KEYS[1]

local totals = project(base, 'group_waiting', 'group_verifying', unpack(ARGV))
if not totals then
  return redis.error_reply('NOT_FOUND No such project')
end
return {
  redis.call('ZCARD', base .. ':queue') + (totals[2] or 0),
  redis.call('ZCARD', base .. ':verifying') + (totals[3] or 0),
  redis.call('ZCARD', base .. ':assigned'),
  redis.call('ZCARD', base .. ':failed'),
  unpack(totals, 4, #ARGV + 3),
}
