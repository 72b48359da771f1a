--- @include "tickets"

-- group_row(groups, group): a group as managers see it: {waiting, held, delay (ms), limit, 1 if it has limits of its
-- own, when it may start a task again (unix ms) or -1, blocked until (unix ms) or 0, who has set that or ''}.
local function group_row(groups, group)
  local base, now = groups.base, groups.now
  local delay, limit, slowed, blocked, by = own_limits(groups, group)
  local due, rest = redis.call('ZSCORE', base .. ':due', group), redis.call('ZSCORE', base .. ':resting', group)
  -- A block that was set meanwhile may end after the rest.
  local next_start = math.max(tonumber(due or rest or 0), blocked)
  return {
    redis.call('ZCARD', groups.wait_prefix .. group) + redis.call('ZCARD', groups.verify_prefix .. group),
    redis.call('SCARD', base .. ':held:' .. group),
    math.max(delay or groups.delay, slowed),
    limit or groups.limit,
    (delay or limit or slowed > 0) and 1 or 0,
    next_start > now and next_start < FULL and math.ceil(next_start) or -1,
    blocked > now and blocked or 0,
    by,
  }
end
