--[[ group: what is known of a group, after changing its limits if asked to.

  A changed delay counts from the next start. The end of a block never comes before that of a rest.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  the group
  ARGV[3]  its own delay, ms; '' leaves it as it is, '-' for the project's
  ARGV[4]  its own limit, likewise
  ARGV[5]  ms for which it is blocked, 0 to end that; '' leaves it as it is
  ARGV[6]  who changes that, as text

  Returns  {waiting, held, delay (ms), limit, 1 when it has a delay or limit of its own, when it may start one again
           (unix ms) or -1, blocked until (unix ms) or 0, who has set that or ''}
  Refuses  NOT_FOUND
  Cost     O(log groups)
]]
--- @include "clock"
--- @include "project"
--- @include "tickets"
--- @include "wake"

local base, guard, group = KEYS[1], KEYS[2], ARGV[2]
local wanted_delay, wanted_limit, wanted_block, wanted_by = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local now = clock(ARGV[1])

local fields = project(base, 'awaited')
if not fields then
  return redis.error_reply('NOT_FOUND No such project')
end
local groups = open_groups(base, now)

-- Only an entry that says when the old block ends moves: a rest stays as it is.
local function move_block(before, blocked)
  for _, set in ipairs({ ':due', ':resting' }) do
    local score = tonumber(redis.call('ZSCORE', base .. set, group) or nil)
    if score and before > 0 and score == before - 0.5 then
      if blocked > now or set == ':due' then
        redis.call('ZADD', base .. set, blocked > now and blocked - 0.5 or now, group)
      else
        redis.call('ZREM', base .. set, group)
      end
    end
    if score then
      return
    end
  end
  if blocked > now then
    drop_tickets(groups, group)
    redis.call('ZADD', base .. (anything_waits(groups, group) and ':due' or ':resting'), blocked - 0.5, group)
  end
end

-- '-' is no number: nil, the project's.
local function wanted(value, before)
  if value == '' then
    return before
  end
  return tonumber(value)
end

local function change()
  local delay, limit, before, by = own_limits(groups, group)
  local blocked = wanted_block == '' and before or now + wanted_block
  redis.call('DEL', guard)
  by = wanted_by ~= '' and wanted_by or by
  set_limits(groups, group, wanted(wanted_delay, delay), wanted(wanted_limit, limit), blocked, by)
  if wanted_block ~= '' then
    move_block(before, blocked)
  end
  local _, its_limit = limits_of(groups, group)
  if tonumber(redis.call('ZSCORE', base .. ':due', group) or 0) >= FULL and not is_full(groups, group, its_limit) then
    redis.call('ZADD', base .. ':due', now, group)
  end
  promote(groups, 1)
  close_groups(groups)
  wake(base, fields[2], now, groups.tickets, groups.voted_tickets)
end

if wanted_delay .. wanted_limit .. wanted_block ~= '' then
  change()
end
local own_delay, own_limit, blocked, by = own_limits(groups, group)
local due, rest = redis.call('ZSCORE', base .. ':due', group), redis.call('ZSCORE', base .. ':resting', group)
local next_start = tonumber(due or rest or 0)
return {
  redis.call('ZCARD', groups.wait_prefix .. group) + redis.call('ZCARD', groups.verify_prefix .. group),
  redis.call('SCARD', base .. ':held:' .. group),
  own_delay or groups.delay,
  own_limit or groups.limit,
  (own_delay or own_limit) and 1 or 0,
  next_start > now and next_start < FULL and math.ceil(next_start) or -1,
  blocked > now and blocked or 0,
  by,
}
