--[[ groups_walk: the groups that have limits of their own, are blocked or rest. Changes nothing.

  A group that is so during the whole walk is returned at least once, while the fleet works.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  cursor, 'limits 0' to begin
  ARGV[3]  about how many groups to check, 500 or fewer

  Returns  {next cursor, '' at the end; group...}, a group as {name, delay of its own (ms) or '', limit of its own or
           '', delay to which workers slowed it down (ms) or 0, blocked until (unix ms) or 0, rests until (unix ms) or
           0, who has set the limits or ''}
  Refuses  NOT_FOUND
  Cost     O(groups * log groups)
]]
--- @include "clock"
--- @include "project"
--- @include "tickets"

local base, count = KEYS[1], ARGV[3]
local now = clock(ARGV[1])
local part, cursor = string.match(ARGV[2], '^(%a+) (%d+)$')
local NEXT = { limits = 'resting 0', resting = 'due 0', due = '' }

if not project(base) then
  return redis.error_reply('NOT_FOUND No such project')
end
local groups, rows = open_groups(base, now), {}

-- An entry for a block or for a full group is no rest.
local function rest_of(group, blocked)
  local rests = { redis.call('ZSCORE', base .. ':due', group) or redis.call('ZSCORE', base .. ':resting', group) }
  add_drained_rests(groups, { group }, rests)
  local rest = tonumber(rests[1] or 0)
  return rest > now and rest < FULL and rest ~= blocked - 0.5 and rest or 0
end

local key = base .. ':' .. part
local scan = part == 'limits' and redis.call('HSCAN', key, cursor, 'COUNT', count)
  or redis.call('ZSCAN', key, cursor, 'COUNT', count)
for i = 1, #scan[2], 2 do
  local group = scan[2][i]
  local delay, limit, slowed, blocked, by = own_limits(groups, group)
  local lasting, rest = blocked > now and blocked or 0, rest_of(group, blocked)
  -- In the other parts, groups with a row in `:limits` were returned before.
  local is_new = part == 'limits' or redis.call('HEXISTS', base .. ':limits', group) == 0
  if is_new and (delay or limit or slowed > 0 or lasting > 0 or rest > 0) then
    rows[#rows + 1] = { group, delay or '', limit or '', slowed, lasting, rest, by }
  end
end
return { scan[1] == '0' and NEXT[part] or part .. ' ' .. scan[1], unpack(rows) }
