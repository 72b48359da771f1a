--- @include "assignment"
--- @include "tickets"
--- @include "wake"

-- open_tickets(base, now, worker, count): the groups as `assign` uses them, in a call for `count` tasks. It promotes
-- groups whose time has come, at most `count` + 4, and checks as many groups that turn out not to start a task; `more`
-- says that such a bound was reached. While workers wait, it promotes no more groups than it needs, since the script
-- `promote` wakes one worker for each group that it promotes. If there are votes, the caller sets `walk`, as
-- include/unvoted.lua opens it, and `best_voted`: unvoted_ticket, from the beginning on if its argument is true.
local function open_tickets(base, now, worker, count)
  local groups, bound, looks = open_groups(base, now), count + 4, 0
  local is_awaited = now < tonumber(groups.awaited or 0)
  local most = not is_awaited and bound or redis.call('EXISTS', base .. ':ready') == 1 and 0 or count
  local tickets = { more = promote(groups, most) == most }
  local fresh, voted, looked_up_to, from_start
  tickets.groups = groups
  local next_start = math.huge

  local function look_again(group)
    fresh = nil
    if voted and voted.group == group then
      voted, from_start = nil, true
    end
  end

  local function look()
    if fresh == nil then
      local found = redis.call('ZRANGE', base .. ':ready', 0, 0, 'WITHSCORES')
      local group = found[1]
      local key = group and groups.wait_prefix .. group
      fresh = group and { task = redis.call('ZRANGE', key, 0, 0)[1], score = tonumber(found[2]), group = group,
        key = key, count = 'waiting' } or false
    end
    if voted ~= nil and groups.voted_place > looked_up_to then
      voted, from_start = nil, true
    end
    if voted == nil then
      looked_up_to = groups.voted_place
      local walk = tickets.walk
      local one = walk and not (walk.done and looked_up_to == walk.place) and tickets.best_voted(from_start)
      from_start = false
      voted = one and { task = one.task, score = one.score, group = one.group,
        key = groups.verify_prefix .. one.group, count = 'verifying' } or false
    end
    return voted and not (fresh and fresh.score < voted.score) and voted or fresh
  end

  -- Whether the group of a ticket may really start a task; if not, the group moves to where it belongs.
  local function may_start(one)
    local group = one.group
    if one.delay then
      -- It was checked before.
      return true
    end
    local later, delay, limit = held_up(groups, group)
    if later or not one.task then
      looks = looks + 1
      look_again(group)
      drop_tickets(groups, group)
      if anything_waits(groups, group) then
        redis.call('ZADD', base .. ':due', later or now, group)
        tell_rest(groups, later or now)
      end
    end
    one.delay, one.limit = delay, limit
    return one.task and not later
  end

  -- The best task that this worker may start: {task =, score =, group =}, or nil.
  function tickets.first()
    while looks <= bound do
      local one = look()
      if not one or may_start(one) then
        return one or nil
      end
    end
    tickets.more = true
  end

  local function take_off(one)
    redis.call('ZREM', one.key, one.task)
    groups[one.count] = groups[one.count] - 1
    look_again(one.group)
  end

  -- start(one): starts this task. Its group loses both tickets.
  function tickets.start(one)
    local group = one.group
    take_off(one)
    redis.call('SADD', base .. ':held:' .. group, assignment(one.task, worker))
    if groups.holders_lost then
      -- Else `is_full` would remove it as a task that nobody holds. The caller sets the deadline.
      redis.call('ZADD', base .. ':assigned', now, assignment(one.task, worker))
    end
    drop_tickets(groups, group)
    local waits = anything_waits(groups, group)
    if one.delay > 0 then
      next_start = waits and math.min(next_start, now + one.delay) or next_start
      redis.call('ZADD', base .. (waits and ':due' or ':resting'), now + one.delay, group)
    elseif waits and is_full(groups, group, one.limit) then
      redis.call('ZADD', base .. ':due', FULL + groups.epoch, group)
    elseif waits then
      make_tickets(groups, group, best_scores(groups, group))
    end
  end

  -- drop(one): this task has no record.
  function tickets.drop(one)
    looks = looks + 1
    take_off(one)
    leave_group(groups, one.group)
  end

  -- set_aside(one): until put_back(one), its group may start the next task instead.
  function tickets.set_aside(one)
    one.waited_at = redis.call('ZSCORE', one.key, one.task)
    take_off(one)
    leave_group(groups, one.group)
  end

  function tickets.put_back(one)
    enter_group(groups, one.group, one.task, tonumber(one.waited_at), one.count == 'verifying')
  end

  -- close(found): writes what has changed. If nothing was found, groups that were full under earlier limits are checked
  -- again.
  function tickets.close(found)
    if not found and groups.walk then
      walk_limits(groups, bound)
      tickets.more = true
    end
    close_groups(groups)
    if is_awaited then
      -- Waiting workers are notified of new tickets that this call did not use.
      local left, left_voted = groups.tickets, groups.voted_tickets
      left = left > 0 and math.min(left, redis.call('ZCARD', base .. ':ready')) or 0
      left_voted = left_voted > 0 and math.min(left_voted, redis.call('ZCARD', base .. ':ready_voted')) or 0
      wake(base, groups.awaited, now, left, left_voted)
      tell_rest(groups, next_start)
    end
  end

  return tickets
end
