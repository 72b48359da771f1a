--[[ groups_import: import limits, blocks and rests of groups. It may be repeated.

  Limits that a manager has set here stay. Of two rests, two blocks, or two delays to which workers slowed a group down,
  the longer one counts. At maxmemory nothing is imported.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2+] seven for each group, at most 500, as groups_walk returns them; times end at ten years from now

  Returns  how many groups were given
  Refuses  NOT_FOUND
  Cost     O(groups * log groups)
]]
--- @include "clock"
--- @include "project"
--- @include "change_group"
--- @include "wake"

local base = KEYS[1]
local now = clock(ARGV[1])
local LATEST, STEP = now + 315360000000, 7

local fields = project(base, 'awaited')
if not fields then
  return redis.error_reply('NOT_FOUND No such project')
end
local groups = open_groups(base, now)

-- Returns until when the group is blocked then.
local function take_limits(group, delay, limit, slowed, blocked, by)
  local own_delay, own_limit, own_slowed, own_blocked, own_by = own_limits(groups, group)
  by = (by == '' or string.find(own_by, '^manager ')) and own_by or by
  blocked = math.max(own_blocked, math.min(blocked, LATEST))
  slowed = math.max(own_slowed, slowed)
  change_group(groups, group, own_delay or tonumber(delay), own_limit or tonumber(limit), slowed, blocked, by)
  return blocked
end

-- A rest replaces an entry for a block or a full group: both are checked again after the rest.
local function take_rest(group, rest, blocked)
  local due = redis.call('ZSCORE', base .. ':due', group)
  local score = tonumber(due or redis.call('ZSCORE', base .. ':resting', group) or nil)
  if not score then
    local drained = { false }
    add_drained_rests(groups, { group }, drained)
    hold_up(groups, group, math.max(rest, tonumber(drained[1] or 0)))
  elseif score < rest or score >= FULL or score == blocked - 0.5 then
    redis.call('ZADD', base .. (due and ':due' or ':resting'), rest, group)
  end
  tell_rest(groups, rest)
end

for i = 2, #ARGV, STEP do
  local group, delay, limit, slowed, blocked, rest, by = unpack(ARGV, i, i + STEP - 1)
  blocked, rest = take_limits(group, delay, limit, slowed, blocked, by), math.min(rest, LATEST)
  if rest > now then
    take_rest(group, rest, blocked)
  end
end
local count = (#ARGV - 1) / STEP
promote(groups, count)
close_groups(groups)
wake(base, fields[2], now, groups.tickets, groups.voted_tickets)
return count
