--- @include "has_seen_all"
--- @include "priority_of"

-- A worker gets no task on which it has voted. A walk over the tasks with votes, best first, passes over those. What a
-- walk learns is stored in `:seen:<worker>`, or a lone worker would walk over its own votes at every call. A mark is a
-- score in a set, for a priority: the worker has voted on all tasks up to there. The mark `*` is a place: it has voted
-- on all tasks that took this place or an earlier one. Marks are exact because each task that enters these sets takes a
-- larger place; the last one is the project's `voted_place`. Tasks that share the last place of a priority are checked
-- one by one, without marks.

local function from(score, skipped)
  return { score = score, skipped = tonumber(skipped or 0) }
end

-- open_walk(base, worker, voted_place, onward): a walk of 1,000 steps. `onward` says where an earlier walk ended, '' to
-- begin. In the walk, `place` is the value for the mark `*` if nothing is found; `done` says that this mark is set;
-- `verifying` and `tickets` are its positions in `:verifying` and `:ready_voted`.
local function open_walk(base, worker, voted_place, onward)
  local seen = base .. ':seen:' .. worker
  local walk = { base = base, worker = worker, seen = seen, marks = {}, steps = 1000, place = voted_place }
  walk.learns = true
  walk.done = has_seen_all(base, worker, voted_place)
  walk.verifying, walk.tickets = from('-inf'), from('-inf')
  local place, score, skipped, ticket, tickets_skipped, inner, inner_skipped, group = string.match(onward,
    '^(%d+) (%S+) (%d+) (%S+) (%d+) (%S+) (%d+) (.*)$')
  if place and not walk.done then
    walk.place = tonumber(place)
    walk.verifying, walk.tickets = from(score, skipped), from(ticket, tickets_skipped)
    walk.tickets.inner, walk.tickets.group = from(inner, inner_skipped), group
  end
  return walk
end

-- where_to_go_on(walk): the `onward` for the next walk; '' if this one did not run out of steps.
local function where_to_go_on(walk)
  local verifying, tickets = walk.verifying, walk.tickets
  if walk.done or verifying.ended and tickets.ended or walk.steps > 0 then
    return ''
  end
  local inner = tickets.inner or from('-inf')
  return string.format('%d %s %d %s %d %s %d %s', walk.place, verifying.score, verifying.skipped, tickets.score,
    tickets.skipped, inner.score, inner.skipped, tickets.group or '')
end

-- close_walk(walk): writes the marks, if the walk `learns`; at the end of both sets also the mark `*`. Returns
-- where_to_go_on.
local function close_walk(walk)
  local verifying, tickets = walk.verifying, walk.tickets
  if verifying.ended and tickets.ended and not walk.done then
    walk.marks['*'] = walk.place
  end
  local list = {}
  for field, value in pairs(walk.marks) do
    list[#list + 1], list[#list + 2] = field, value
  end
  if #list > 0 and walk.learns then
    redis.call('HSET', walk.seen, unpack(list))
    redis.call('EXPIRE', walk.seen, 86400)
  end
  return where_to_go_on(walk)
end

-- mark(walk, prefix, score): the worker has voted on all tasks up to this score, in the set with this prefix.
local function mark(walk, prefix, score)
  local priority = priority_of(score)
  if tonumber(score) ~= score_of(priority, LAST_PLACE) then
    walk.marks[prefix .. priority] = score
  end
end

-- next_entry(walk, key, at, prefix): the next member of a set after its marks, and its score. nil: the set has no more
-- (then `at.ended` is true), or no step is left. `at` is the position of the walk in this set.
local function next_entry(walk, key, at, prefix)
  while walk.steps > 0 do
    walk.steps = walk.steps - 1
    local found = redis.call('ZRANGE', key, at.score, '+inf', 'BYSCORE', 'LIMIT', at.skipped, 1, 'WITHSCORES')
    local member, score = found[1], found[2]
    if not member then
      at.ended = true
      return nil
    end
    local priority = priority_of(score)
    local field = prefix .. priority
    local seen_up_to = walk.marks[field] or redis.call('HGET', walk.seen, field)
    if seen_up_to and tonumber(score) <= tonumber(seen_up_to) then
      at.score, at.skipped = '(' .. seen_up_to, 0
    elseif tonumber(score) == score_of(priority, LAST_PLACE) then
      at.score, at.skipped = score, at.score == score and at.skipped + 1 or 1
      return member, score
    else
      at.score, at.skipped = '(' .. score, 0
      return member, score
    end
  end
end

-- next_unvoted(walk, key, at, prefix): as next_entry, but passes over tasks on which the worker has voted.
local function next_unvoted(walk, key, at, prefix)
  local task, score
  repeat
    task, score = next_entry(walk, key, at, prefix)
    local voted = task and redis.call('HEXISTS', walk.base .. ':votes:' .. task, walk.worker) == 1
    if voted then
      mark(walk, prefix, score)
    end
  until not voted
  return task, score
end
