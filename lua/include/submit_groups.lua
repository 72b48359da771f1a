--- @include "groups"

-- submit_groups(base, now, names, lists): adds new tasks to these groups. `lists` has for each group a list of scores
-- and tasks, and its `best` score. Returns how many of the groups have a ticket now.
local function submit_groups(base, now, names, lists)
  local groups, ready, started, earliest = open_groups(base, now), {}, {}, math.huge
  local due = redis.call('ZMSCORE', base .. ':due', unpack(names))
  local resting = redis.call('ZMSCORE', base .. ':resting', unpack(names))
  add_drained_rests(groups, names, resting)
  for i, group in ipairs(names) do
    local list = lists[group]
    redis.call('ZADD', groups.wait_prefix .. group, unpack(list))
    groups.waiting = groups.waiting + #list / 2
    if resting[i] and not due[i] then
      started[#started + 1], earliest = group, math.min(earliest, tonumber(resting[i]))
      redis.call('ZADD', base .. ':due', resting[i], group)
    elseif not due[i] then
      ready[#ready + 1] = ticket_score(groups, list.best, list.best % PRIORITY_STEP)
      ready[#ready + 1] = group
    end
  end
  if #started > 0 then
    redis.call('ZREM', base .. ':resting', unpack(started))
    tell_rest(groups, earliest)
  end
  if #ready > 0 then
    -- If a group has a ticket already, it moves only for a better task.
    redis.call('ZADD', base .. ':ready', 'LT', unpack(ready))
  end
  close_groups(groups)
  return #ready / 2
end
