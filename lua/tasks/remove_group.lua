--[[ remove_group: take the waiting tasks of a group out of reach, in one step; drain_step then deletes them.

  Tasks that are held or have failed stay; delayed tasks are for the caller to remove. A hash is free once its task is
  deleted. A rest of the group stays.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  the group

  Returns  how many tasks are affected
  Refuses  NOT_FOUND
  Cost     O(log groups)
]]
--- @include "clock"
--- @include "project"
--- @include "drain"
--- @include "tickets"

local base, guard, group = KEYS[1], KEYS[2], ARGV[2]
local now = clock(ARGV[1])

if not project(base) then
  return redis.error_reply('NOT_FOUND No such project')
end
local groups = open_groups(base, now)
local wait, verify = groups.wait_prefix .. group, groups.verify_prefix .. group
local waiting, verifying = redis.call('ZCARD', wait), redis.call('ZCARD', verify)
if waiting + verifying == 0 then
  return 0
end

redis.call('DEL', guard)
local drain = begin_drain(base, 'remove_group')
if waiting > 0 then
  redis.call('RENAME', wait, drain .. ':queue')
end
if verifying > 0 then
  redis.call('RENAME', verify, drain .. ':verifying')
end
groups.waiting, groups.verifying = -waiting, -verifying
leave_group(groups, group)
close_groups(groups)
return waiting + verifying
