--- @include "full"
--- @include "task_of"

-- free_groups(base, now, members, names): these members of `:assigned` are no longer held. `names` are their groups, ''
-- for none, false for a task without a record: only `:holders` still knows its group. Returns how many groups may start
-- a task because of that.
local function free_groups(base, now, members, names)
  local full, unknown, free = {}, false, 0
  for i, member in ipairs(members) do
    local group = names[i]
    if not group then
      local holder = redis.call('HGET', base .. ':holders', task_of(member))
      group = string.match(holder or '', '^%d+ %d+ ?(.*)$') or ''
      unknown = unknown or not holder
    end
    if group ~= '' then
      redis.call('SREM', base .. ':held:' .. group, member)
      if tonumber(redis.call('ZSCORE', base .. ':due', group) or 0) >= FULL then
        full[group] = true
      end
    end
  end
  if unknown or next(full) then
    --- @include "tickets"
    local groups = open_groups(base, now)
    if unknown then
      redis.call('HSET', base, 'holders_lost', '1')
      begin_walk(groups)
    end
    for group in pairs(full) do
      local _, limit, blocked = limits_of(groups, group)
      if not is_full(groups, group, limit) then
        redis.call('ZADD', base .. ':due', blocked > now and blocked - 0.5 or now, group)
        if blocked > now then
          tell_rest(groups, blocked - 0.5)
        else
          free = free + 1
        end
      end
    end
  end
  return free
end
