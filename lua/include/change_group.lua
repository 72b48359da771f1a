--- @include "tickets"

-- hold_up(groups, group, at): a group that is in neither `:due` nor `:resting` may start no task before `at`.
local function hold_up(groups, group, at)
  drop_tickets(groups, group)
  redis.call('ZADD', groups.base .. (anything_waits(groups, group) and ':due' or ':resting'), at, group)
end

-- Moves an entry only if it says when the old block ends, or its time has come: a rest stays as it is.
local function move_block(groups, group, before, blocked)
  local base, now = groups.base, groups.now
  for _, set in ipairs({ ':due', ':resting' }) do
    local score = tonumber(redis.call('ZSCORE', base .. set, group) or nil)
    if score and (score <= now or before > 0 and score == before - 0.5) then
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
    hold_up(groups, group, blocked - 0.5)
  end
end

-- change_group(groups, group, delay, limit, slowed, blocked, by): sets these limits, as own_limits returns them. If the
-- group may start a task because of that, the next `promote` finds it.
local function change_group(groups, group, delay, limit, slowed, blocked, by)
  local _, _, _, before = own_limits(groups, group)
  set_limits(groups, group, delay, limit, slowed, blocked, by)
  if blocked ~= before then
    move_block(groups, group, before, blocked)
  end
  local due = tonumber(redis.call('ZSCORE', groups.base .. ':due', group) or 0)
  if due >= FULL and not is_full(groups, group, limit or groups.limit) then
    redis.call('ZADD', groups.base .. ':due', groups.now, group)
    due = groups.now
  end
  tell_rest(groups, due)
end
