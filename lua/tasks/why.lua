--[[ why: why a worker gets no task of a project, by the rules of `assign`. Changes nothing.

  Call `promote` and `reclaim` first: this script does not count due or overdue tasks as waiting. It checks 100 groups
  and 100 tasks without votes, until it finds one that can be assigned.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  worker id
  ARGV[2]  now, unix ms; '' outside tests
  ARGV[3]  where to go on among tasks with votes, from the reply of an earlier call; '' to begin

  Returns  {where to go on, or ''; for each reason {code, until when (unix ms) or -1, how many or -1}}; the codes are
           those of `REASONS` in broker/api/reasons.py
  Refuses  NOT_FOUND
  Cost     O(log queue), 200 tasks, 200 groups, and 1,000 steps among tasks with votes
]]
--- @include "clock"
--- @include "may_get"
--- @include "project"
--- @include "project_rate"
--- @include "tickets"
--- @include "unvoted"
--- @include "whole_record"

local base, worker, onward = KEYS[1], ARGV[1], ARGV[3]
local now, now_us = clock(ARGV[2])
local LOOKS = 100

local fields = project(base, 'paused', 'public', 'assign_rate', 'assign_paid_off', 'group_waiting', 'group_verifying')
if not fields then
  return redis.error_reply('NOT_FOUND No such project')
end
local paused, public, rate, paid_off, group_waiting, group_verifying = unpack(fields, 2, 7)

local reasons = {}
local function because(code, ends, count)
  reasons[#reasons + 1] = { code, ends and math.ceil(ends) or -1, count or -1 }
end

-- Reasons that apply to all tasks.
local function refusals()
  if paused == '1' then
    because('paused')
  end
  if not may_get(base, worker, public) then
    local asks = redis.call('HEXISTS', base .. ':requests', worker) == 1
    local rejected = redis.call('SISMEMBER', base .. ':rejected', worker) == 1
    because(asks and 'access_pending' or rejected and 'rejected' or 'no_access')
  end
  local wait = wait_for_rate(rate, paid_off, now_us)
  if wait > 0 then
    because('rate_limited', (now_us + wait) / 1000)
  end
end

local groups, blocked_groups, full_groups, first_unblocked = open_groups(base, now), 0, 0, nil
local walk = open_walk(base, worker, groups.voted_place, onward)

local function first_whole(key)
  for _, task in ipairs(redis.call('ZRANGE', key, 0, LOOKS - 1)) do
    if whole_record(base, task) then
      return task
    end
  end
end

local function may_start(group)
  local _, limit, _, blocked = own_limits(groups, group)
  local is_blocked = blocked > now
  local is_held_full = not is_blocked and not has_room(groups, group, limit or groups.limit)
  if is_blocked then
    blocked_groups, first_unblocked = blocked_groups + 1, math.min(first_unblocked or blocked, blocked)
  elseif is_held_full then
    full_groups = full_groups + 1
  end
  return not is_blocked and not is_held_full
end

local function any_without_votes()
  if first_whole(base .. ':queue') then
    return true
  end
  for _, group in ipairs(redis.call('ZRANGE', base .. ':ready', 0, LOOKS - 1)) do
    if may_start(group) and first_whole(groups.wait_prefix .. group) then
      return true
    end
  end
end

local function next_whole(key, at, prefix)
  local task
  repeat
    task = next_unvoted(walk, key, at, prefix)
  until not task or whole_record(base, task)
  return task
end

local function any_with_votes()
  if walk.done or next_whole(base .. ':verifying', walk.verifying, '') then
    return not walk.done
  end
  local at = walk.tickets
  while walk.steps > 0 do
    local score_before, skipped_before = at.score, at.skipped
    local group = next_entry(walk, base .. ':ready_voted', at, '@')
    if not group then
      return false
    end
    local inner = at.group == group and at.inner or from('-inf')
    if may_start(group) then
      if next_whole(groups.verify_prefix .. group, inner, '@' .. group .. ' ') then
        return true
      elseif not inner.ended then
        at.score, at.skipped, at.inner, at.group = score_before, skipped_before, inner, group
        return false
      end
    end
  end
end

-- Reasons of groups with waiting tasks that may start none: those in `:due`.
local function held_up_groups()
  local due, full = base .. ':due', string.format('%d', FULL)
  local found = redis.call('ZRANGE', due, '(' .. now, '(' .. full, 'BYSCORE', 'LIMIT', 0, LOOKS, 'WITHSCORES')
  local resting, first_rested = redis.call('ZCOUNT', due, '(' .. now, '(' .. full), nil
  for i = 1, #found, 2 do
    local _, _, _, blocked = own_limits(groups, found[i])
    if blocked > now then
      resting, blocked_groups = resting - 1, blocked_groups + 1
      first_unblocked = math.min(first_unblocked or blocked, blocked)
    else
      first_rested = first_rested or tonumber(found[i + 1])
    end
  end
  full_groups = full_groups + redis.call('ZCOUNT', due, full, '+inf')
  if resting > 0 then
    because('groups_resting', first_rested, resting)
  end
  if full_groups > 0 then
    because('groups_full', nil, full_groups)
  end
  if blocked_groups > 0 then
    because('groups_blocked', first_unblocked, blocked_groups)
  end
end

local function drains()
  local count = 0
  for _, drain in ipairs(redis.call('HVALS', base .. ':drains')) do
    count = count + (drain ~= 'drop_hashes' and 1 or 0)
  end
  return count
end

local function because_of(code, key, with_time)
  local count = redis.call('ZCARD', base .. key)
  if count > 0 then
    because(code, with_time and tonumber(redis.call('ZRANGE', base .. key, 0, 0, 'WITHSCORES')[2]), count)
  end
end

local function nothing_found()
  local with_votes = redis.call('ZCARD', base .. ':verifying') + (group_verifying or 0)
  if redis.call('ZCARD', base .. ':queue') + (group_waiting or 0) + with_votes == 0 then
    because('nothing_waits')
  elseif with_votes > 0 and redis.call('EXISTS', base .. ':verifying', base .. ':ready_voted') > 0 then
    because('voted')
  end
  held_up_groups()
  because_of('delayed', ':delayed', true)
  because_of('held', ':assigned', true)
  because_of('failed', ':failed', false)
  local count = drains()
  if count > 0 then
    because('draining', nil, count)
  end
end

refusals()
local found = any_without_votes() or any_with_votes()
if not found then
  onward = where_to_go_on(walk)
  nothing_found()
elseif #reasons == 0 then
  because('available')
end
return { found and '' or onward, unpack(reasons) }
