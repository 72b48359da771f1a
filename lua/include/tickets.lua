--- @include "groups"

-- best_scores(groups, group): the scores of its best task without votes and of its best one with votes; nil for none.
local function best_scores(groups, group)
  local wait = redis.call('ZRANGE', groups.wait_prefix .. group, 0, 0, 'WITHSCORES')[2]
  local verify = groups.voted_place > 0 and redis.call('ZRANGE', groups.verify_prefix .. group, 0, 0, 'WITHSCORES')[2]
  return tonumber(wait or nil), tonumber(verify or nil)
end

-- own_limits(groups, group): the delay (ms) and the limit of the group itself, nil for none; the delay to which workers
-- have slowed it down (ms), 0 for none; until when it is blocked (unix ms), 0 for never; who set that.
local function own_limits(groups, group)
  if groups.any_limits == nil then
    groups.any_limits = redis.call('EXISTS', groups.base .. ':limits') == 1
  end
  local row = groups.any_limits and redis.call('HGET', groups.base .. ':limits', group)
  if not row then
    return nil, nil, 0, 0, ''
  end
  local blocked = redis.call('ZSCORE', groups.base .. ':blocked', group)
  local delay, limit, slowed, by = string.match(row, '^(%S+) (%S+) (%S+) (.*)$')
  return tonumber(delay or ''), tonumber(limit or ''), tonumber(slowed or '') or 0, tonumber(blocked or 0), by or ''
end

-- set_limits(groups, group, delay, limit, slowed, blocked, by): writes them as own_limits returns them, or deletes the
-- row if there are none.
local function set_limits(groups, group, delay, limit, slowed, blocked, by)
  local base, lasts = groups.base, blocked > groups.now
  if delay or limit or slowed > 0 or lasts then
    local row = string.format('%s %s %s %s', delay or '-', limit or '-', slowed > 0 and slowed or '-', by)
    redis.call('HSET', base .. ':limits', group, row)
    groups.any_limits = true
  else
    redis.call('HDEL', base .. ':limits', group)
  end
  if lasts then
    redis.call('ZADD', base .. ':blocked', blocked, group)
  else
    redis.call('ZREM', base .. ':blocked', group)
  end
end

-- limits_of(groups, group): the limits that apply: delay (ms), limit, blocked until (unix ms). Deletes a block that has
-- ended.
local function limits_of(groups, group)
  local delay, limit, slowed, blocked, by = own_limits(groups, group)
  if blocked > 0 and blocked <= groups.now then
    set_limits(groups, group, delay, limit, slowed, 0, by)
  end
  return math.max(delay or groups.delay, slowed), limit or groups.limit, blocked
end

-- has_room(groups, group, limit): whether fewer of its tasks are held than the limit allows.
local function has_room(groups, group, limit)
  return limit == 0 or redis.call('SCARD', groups.base .. ':held:' .. group) < limit
end

-- is_full(groups, group, limit): whether as many of its tasks are held as the limit allows. If tasks were lost together
-- with their entry in `:holders`, `:held` may contain some that nobody holds: 100 members are checked.
local function is_full(groups, group, limit)
  local key = groups.base .. ':held:' .. group
  if has_room(groups, group, limit) then
    return false
  end
  if not groups.holders_lost then
    return true
  end
  local members = redis.call('SRANDMEMBER', key, 100)
  for i, deadline in ipairs(redis.call('ZMSCORE', groups.base .. ':assigned', unpack(members))) do
    if not deadline then
      redis.call('SREM', key, members[i])
    end
  end
  return not has_room(groups, group, limit)
end

-- held_up(groups, group): the score in `:due` of a group that may start no task, because it is blocked or full; false
-- if it may. Then, the delay and the limit that apply.
local function held_up(groups, group)
  local delay, limit, blocked = limits_of(groups, group)
  local later = blocked > groups.now and blocked - 0.5 or is_full(groups, group, limit) and FULL + groups.epoch
  return later, delay, limit
end

local function anything_waits(groups, group)
  return redis.call('EXISTS', groups.wait_prefix .. group, groups.verify_prefix .. group) > 0
end

local function drop_tickets(groups, group)
  redis.call('ZREM', groups.base .. ':ready', group)
  if groups.voted_place > 0 then
    redis.call('ZREM', groups.base .. ':ready_voted', group)
  end
end

local function next_place(groups)
  groups.place = groups.place + 1
  return groups.place
end

local function make_ticket(groups, set, group, score)
  local place = next_place(groups)
  redis.call('ZADD', groups.base .. set, ticket_score(groups, score, place), group)
  if set == ':ready_voted' then
    groups.voted_place = place
  end
end

-- make_tickets(groups, group, wait, verify): adds a ticket for each of these best scores that is not nil, at the END of
-- its priority, the one of the better task first.
local function make_tickets(groups, group, wait, verify)
  if wait and not (verify and verify < wait) then
    make_ticket(groups, ':ready', group, wait)
  end
  if verify then
    make_ticket(groups, ':ready_voted', group, verify)
    groups.voted_tickets = groups.voted_tickets + 1
  end
  if wait and verify and verify < wait then
    make_ticket(groups, ':ready', group, wait)
  end
  groups.tickets = groups.tickets + (wait and 1 or 0)
end

-- promote_one(groups, group): gives tickets to a group in `:due` whose time has come, unless it is full or blocked.
local function promote_one(groups, group)
  local due = groups.base .. ':due'
  local wait, verify = best_scores(groups, group)
  if not wait and not verify then
    redis.call('ZREM', due, group)
    return
  end
  local later = held_up(groups, group)
  if later then
    redis.call('ZADD', due, later, group)
  else
    redis.call('ZREM', due, group)
    make_tickets(groups, group, wait, verify)
  end
end

-- promote(groups, count): promotes groups whose time has come, at most so many. Returns how many it has checked.
local function promote(groups, count)
  local came = redis.call('ZRANGE', groups.base .. ':due', '-inf', groups.now, 'BYSCORE', 'LIMIT', 0, count)
  for _, group in ipairs(came) do
    promote_one(groups, group)
  end
  return #came
end

-- walk_limits(groups, count): checks groups that were full under earlier limits, at most so many. Returns how many.
local function walk_limits(groups, count)
  if not groups.walk then
    return 0
  end
  local found = redis.call('ZRANGE', groups.base .. ':due', FULL, string.format('(%d', FULL + groups.epoch), 'BYSCORE',
    'LIMIT', 0, count)
  for _, group in ipairs(found) do
    local _, limit = limits_of(groups, group)
    local due = is_full(groups, group, limit) and FULL + groups.epoch or groups.now
    redis.call('ZADD', groups.base .. ':due', due, group)
  end
  if #found < count then
    redis.call('HDEL', groups.base, 'limits_walk')
    groups.walk = false
  end
  return #found
end

-- begin_walk(groups): limits have changed: groups that were full are checked again, step by step.
local function begin_walk(groups)
  groups.epoch, groups.walk = groups.epoch + 1, '1'
  redis.call('HSET', groups.base, 'limits_epoch', groups.epoch, 'limits_walk', '1')
end

-- enter_group(groups, group, task, score, is_voted): the task waits in its group from now on. If it has votes, the
-- ticket of the group takes a new, larger place: include/unvoted.lua relies on that.
local function enter_group(groups, group, task, score, is_voted)
  redis.call('ZADD', (is_voted and groups.verify_prefix or groups.wait_prefix) .. group, score, task)
  local count = is_voted and 'verifying' or 'waiting'
  groups[count] = groups[count] + 1
  local base = groups.base
  if is_voted then
    groups.voted_place = next_place(groups)
  end
  if redis.call('ZSCORE', base .. ':due', group) then
    return
  end
  local rests = { redis.call('ZSCORE', base .. ':resting', group) }
  add_drained_rests(groups, { group }, rests)
  local rest = rests[1]
  if rest then
    redis.call('ZREM', base .. ':resting', group)
    redis.call('ZADD', base .. ':due', rest, group)
    tell_rest(groups, tonumber(rest))
  elseif is_voted then
    local _, verify = best_scores(groups, group)
    make_ticket(groups, ':ready_voted', group, verify)
    groups.voted_tickets = groups.voted_tickets + 1
  else
    redis.call('ZADD', base .. ':ready', 'LT', ticket_score(groups, score, score % PRIORITY_STEP), group)
    groups.tickets = groups.tickets + 1
  end
end

-- refit(groups, set, group, score): the best task of a group has changed, other than by a start: its ticket moves to
-- the priority of this score, or is deleted if that is nil.
local function refit(groups, set, group, score)
  local key = groups.base .. set
  local ticket = redis.call('ZSCORE', key, group)
  if ticket and not score then
    redis.call('ZREM', key, group)
  elseif ticket and ticket_score(groups, score, 0) ~= math.floor(ticket / PRIORITY_STEP) * PRIORITY_STEP then
    make_ticket(groups, set, group, score)
  end
end

-- leave_group(groups, group): a waiting task has left the group, other than by a start.
local function leave_group(groups, group)
  local base, due = groups.base, redis.call('ZSCORE', groups.base .. ':due', group)
  local wait, verify = best_scores(groups, group)
  if not due then
    refit(groups, ':ready', group, wait)
    refit(groups, ':ready_voted', group, verify)
  elseif not wait and not verify then
    redis.call('ZREM', base .. ':due', group)
    local _, _, blocked = limits_of(groups, group)
    if tonumber(due) < FULL then
      redis.call('ZADD', base .. ':resting', due, group)
    elseif blocked > groups.now then
      redis.call('ZADD', base .. ':resting', blocked - 0.5, group)
    end
  end
end
