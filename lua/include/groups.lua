--- @include "full"
--- @include "group_key"
--- @include "ids"
--- @include "tell_next"

-- The tasks of a group wait in `:wait:<gen>:<group>`, those with votes in `:verify:<gen>:<group>`. A group with waiting
-- tasks is either in `:due`, by when it is checked again, or it may start a task: then it has a ticket in `:ready` and
-- in `:ready_voted`, for each of these two sets that is not empty. If nothing waits, `:resting` says until when the
-- group may start no task. `:held:<group>` has its tasks that are held.

-- open_groups(base, now): what the functions of groups need to know about a project. They take places and count waiting
-- tasks; close_groups writes both. In between, nothing else in the script may take places.
local function open_groups(base, now)
  local place, voted_place, delay, limit, order, gen, epoch, walk, lost, awaited = unpack(redis.call('HMGET', base,
    'place', 'voted_place', 'group_delay', 'group_limit', 'group_order', 'group_gen', 'limits_epoch', 'limits_walk',
    'holders_lost', 'awaited'))
  local wait_prefix, verify_prefix = group_key(base, 'queue', gen, ''), group_key(base, 'verifying', gen, '')
  place, delay = tonumber(place or 0), math.floor((delay or 0) * 1000 + 0.5)
  voted_place = tonumber(voted_place or 0)
  local groups = { base = base, now = now, fair = order == 'fair', delay = delay, limit = tonumber(limit or 0) }
  groups.place, groups.first_place = place, place
  groups.voted_place, groups.first_voted_place = voted_place, voted_place
  groups.epoch, groups.walk, groups.holders_lost = tonumber(epoch or 0), walk, lost
  groups.wait_prefix, groups.verify_prefix, groups.awaited = wait_prefix, verify_prefix, awaited
  groups.waiting, groups.verifying, groups.tickets, groups.voted_tickets = 0, 0, 0, 0
  return groups
end

local function close_groups(groups)
  if groups.voted_place > groups.first_voted_place then
    redis.call('HSET', groups.base, 'place', groups.place, 'voted_place', groups.voted_place)
  elseif groups.place > groups.first_place then
    redis.call('HSET', groups.base, 'place', groups.place)
  end
  if groups.waiting ~= 0 then
    redis.call('HINCRBY', groups.base, 'group_waiting', groups.waiting)
  end
  if groups.verifying ~= 0 then
    redis.call('HINCRBY', groups.base, 'group_verifying', groups.verifying)
  end
end

-- ticket_score(groups, score, place): for a group whose best task has this score: at the priority of that task, or at 0
-- with the order `fair`.
local function ticket_score(groups, score, place)
  local level = groups.fair and 0 or math.floor(score / PRIORITY_STEP)
  return level * PRIORITY_STEP + math.min(place, LAST_PLACE)
end

-- add_drained_rests(groups, names, rests): `rests` are the scores of these groups in `:resting`, false for none. Adds
-- those that a reset has taken and not processed yet: a reset does not end a rest.
local function add_drained_rests(groups, names, rests)
  groups.drains = groups.drains or redis.call('HKEYS', groups.base .. ':drains')
  for _, n in ipairs(groups.drains) do
    for i, score in ipairs(redis.call('ZMSCORE', groups.base .. ':drain:' .. n .. ':due', unpack(names))) do
      local rest = tonumber(score or 0)
      rests[i] = rests[i] or rest > groups.now and rest < FULL and score
    end
  end
end

-- tell_rest(groups, at): notifies waiting workers that a group in `:due` may start a task at this time (unix ms),
-- unless it is full.
local function tell_rest(groups, at)
  if at < FULL then
    tell_next(groups.base, groups.base .. ':due', groups.awaited, groups.now, at)
  end
end
