--[[ group: the state of a group, after changing its limits if asked to.

  A changed delay counts from the next start, and replaces the delay to which workers have slowed the group down. A
  block never ends before a rest.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  the group
  ARGV[3]  its own delay, ms; '' leaves it as it is, '-' for the project's
  ARGV[4]  its own limit, likewise
  ARGV[5]  ms for which it is blocked, 0 to end a block; '' leaves it as it is
  ARGV[6]  who changes that: 'manager <id>'

  Returns  a row, as include/group_row.lua says
  Refuses  NOT_FOUND
  Cost     O(log groups)
]]
--- @include "clock"
--- @include "project"
--- @include "group_row"
--- @include "change_group"
--- @include "wake"

local base, guard, group = KEYS[1], KEYS[2], ARGV[2]
local wanted_delay, wanted_limit, wanted_block, wanted_by = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local now = clock(ARGV[1])

local fields = project(base, 'awaited')
if not fields then
  return redis.error_reply('NOT_FOUND No such project')
end
local groups = open_groups(base, now)

local function change()
  local delay, limit, slowed, blocked = own_limits(groups, group)
  if wanted_delay ~= '' then
    -- '-' is no number: nil, the project's.
    delay, slowed = tonumber(wanted_delay), 0
  end
  if wanted_limit ~= '' then
    limit = tonumber(wanted_limit)
  end
  if wanted_block ~= '' then
    blocked = now + wanted_block
  end
  redis.call('DEL', guard)
  change_group(groups, group, delay, limit, slowed, blocked, wanted_by)
  promote(groups, 1)
  close_groups(groups)
  wake(base, fields[2], now, groups.tickets, groups.voted_tickets)
end

if wanted_delay .. wanted_limit .. wanted_block ~= '' then
  change()
end
return group_row(groups, group)
