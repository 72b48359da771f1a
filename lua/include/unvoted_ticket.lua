--- @include "priority_of"
--- @include "tickets"

-- unvoted_ticket(groups, worker, steps): the best of `:ready_voted` for this worker, which counts at the priority of
-- the best task that this worker may take: task, score, group; nil: there is none. Then how many of the steps are left,
-- 0 when it did not get to the end, and whether `seen` has changed: then another call may get further.
--
-- `seen` holds, for `@` and a priority, the score up to which there is nothing for the worker in `:ready_voted`, and
-- for `@`, a priority, a space and a group the score up to which it has voted on everything there.
local function unvoted_ticket(groups, worker, steps)
  local base, seen, learned = groups.base, groups.base .. ':seen:' .. worker, false

  local function mark(field, score)
    learned = true
    redis.call('HSET', seen, field, score)
    redis.call('EXPIRE', seen, 86400)
  end

  -- The first that is behind what the mark says; nil, and the score to go on from.
  local function first_behind(key, from, field_of)
    local found = redis.call('ZRANGE', key, from, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
    local member, score = found[1], found[2]
    if not member then
      return nil, nil
    end
    local field = field_of(priority_of(score))
    local seen_up_to = redis.call('HGET', seen, field)
    if seen_up_to and tonumber(score) <= tonumber(seen_up_to) then
      return nil, seen_up_to
    end
    return member, score, field
  end

  local function first_in(group)
    local from = '-inf'
    while steps > 0 do
      steps = steps - 1
      local task, score, field = first_behind(groups.verify_prefix .. group, from, function(priority)
        return '@' .. priority .. ' ' .. group
      end)
      if not task and not score then
        return nil
      end
      if task and redis.call('HEXISTS', base .. ':votes:' .. task, worker) == 0 then
        return task, score
      end
      if task then
        mark(field, score)
      end
      from = '(' .. score
    end
  end

  local best, may_mark, from = nil, {}, '-inf'
  while steps > 0 do
    steps = steps - 1
    local group, score, field = first_behind(base .. ':ready_voted', from, function(priority)
      return '@' .. priority
    end)
    if not group and not score or best and best.score <= tonumber(score) then
      return best and best.task, best and best.score, best and best.group, math.max(1, steps), learned
    end
    if group then
      local task, its_score = first_in(group)
      if not task and steps == 0 then
        break
      end
      local rank = task and ticket_score(groups, its_score, score % PRIORITY_STEP)
      if task and not (best and best.score <= rank) then
        best = { task = task, score = rank, group = group }
      end
      if task then
        may_mark[field] = false
      elseif may_mark[field] ~= false then
        mark(field, score)
      end
    end
    from = '(' .. score
  end
  return best and best.task, best and best.score, best and best.group, 0, learned
end
