--- @include "groups"
--- @include "unvoted"

-- unvoted_ticket(groups, walk): the best of `:ready_voted` for this worker, {task =, score =, group =}, or nil. A
-- ticket counts at the priority of the best task that this worker may take. If the steps end within a group,
-- `walk.tickets` has this `group`, and as `inner` the position in it.
local function unvoted_ticket(groups, walk)
  local best, is_open, at = nil, {}, walk.tickets
  while walk.steps > 0 do
    local score_before, skipped_before = at.score, at.skipped
    local group, score = next_entry(walk, groups.base .. ':ready_voted', at, '@')
    if not group or best and best.score <= tonumber(score) then
      -- The best one may not be taken by this call, so the set is not finished.
      at.ended = at.ended and not best
      return best
    end
    local inner = at.group == group and at.inner or from('-inf')
    local task, its_score = next_unvoted(walk, groups.verify_prefix .. group, inner, '@' .. group .. ' ')
    if not task and not inner.ended then
      at.score, at.skipped, at.inner, at.group = score_before, skipped_before, inner, group
      return best
    end
    local priority = priority_of(score)
    local rank = task and ticket_score(groups, its_score, score % PRIORITY_STEP)
    if task and not (best and best.score <= rank) then
      best = { task = task, score = rank, group = group }
    end
    is_open[priority] = is_open[priority] or task
    if not is_open[priority] then
      mark(walk, '@', score)
    end
  end
  return best
end
