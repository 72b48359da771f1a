--[[ promote: groups and delayed tasks whose time has come are available, and waiting workers are notified.

  Rests that have ended are deleted for groups without waiting tasks, and groups that were full under earlier limits are
  checked again. `assign` promotes groups by itself: this script is for workers that wait.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  how many groups of each kind and delayed tasks at most, 500 or fewer
  ARGV[3]  how many workers wait in the calling process: other processes are not notified of so many tasks

  Returns  {1 if there are more, else 0; ms until the next group may start a task or the next delayed task waits, -1 for
           none; of how many tasks without votes other processes were not notified}
  Refuses  nothing
  Cost     O((groups + tasks) * log queue)
]]
--- @include "clock"
--- @include "first_due"
--- @include "project"
--- @include "take_delayed"
--- @include "tickets"
--- @include "wake"

local base, guard, count = KEYS[1], KEYS[2], tonumber(ARGV[2])
local now = clock(ARGV[1])

local fields = project(base, 'awaited')
if not fields then
  return { 0, -1, 0 }
end
redis.call('DEL', guard)
local looked, fresh, voted = take_delayed(base, now, count)
local groups = open_groups(base, now)
local walked = walk_limits(groups, count)
local came = promote(groups, count)
local over = redis.call('ZRANGE', base .. ':resting', '-inf', now, 'BYSCORE', 'LIMIT', 0, count)
for _, group in ipairs(over) do
  local _, _, blocked = limits_of(groups, group)
  if blocked > now then
    redis.call('ZADD', base .. ':resting', blocked - 0.5, group)
  else
    redis.call('ZREM', base .. ':resting', group)
  end
end
close_groups(groups)
fresh = fresh + groups.tickets
local own = math.min(fresh, tonumber(ARGV[3]))
wake(base, fields[2], now, fresh - own, voted + groups.voted_tickets)
local more = looked == count or walked == count or came == count or #over == count
return { more and 1 or 0, first_due(base, now), own }
