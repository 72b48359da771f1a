-- some_group_may_start(base, worker, now): whether a group may start a task for this worker, or must be checked again.
local function some_group_may_start(base, worker, now)
  --- @include "has_seen_all"
  if redis.call('EXISTS', base .. ':ready') == 1 then
    return true
  elseif redis.call('EXISTS', base .. ':ready_voted') == 1
    and not has_seen_all(base, worker, tonumber(redis.call('HGET', base, 'voted_place') or 0)) then
    return true
  end
  local first_due = redis.call('ZRANGE', base .. ':due', 0, 0, 'WITHSCORES')[2]
  return first_due and (tonumber(first_due) <= now or redis.call('HGET', base, 'limits_walk'))
end

-- take_best(base, asked, read): takes the tasks with the best scores, of those without a group and of the groups that
-- may start one, but none on which the worker has voted. Also returns where another call should go on if a bound was
-- reached, else ''. `asked` is {worker =, now =, count =, bytes =, from = where an earlier call ended}; `read` is that
-- of `assign`.
local function take_best(base, asked, read)
  local worker, now, count, bytes = asked.worker, asked.now, asked.count, asked.bytes
  local tickets
  if some_group_may_start(base, worker, now) then
    --- @include "take_tickets"
    tickets = open_tickets(base, now, worker, count)
  end
  local voted_place = tickets and tickets.groups.voted_place or tonumber(redis.call('HGET', base, 'voted_place') or 0)
  local walk, next_with_votes, close_votes
  if voted_place > 0 or redis.call('EXISTS', base .. ':verifying') == 1 then
    --- @include "unvoted"
    walk = open_walk(base, worker, voted_place, asked.from)
    next_with_votes = function()
      if not walk.done then
        return next_unvoted(walk, base .. ':verifying', walk.verifying, '')
      end
    end
    close_votes = close_walk
    if tickets then
      --- @include "unvoted_ticket"
      tickets.walk = walk
      tickets.best_voted = function(from_start)
        walk.tickets = from_start and from('-inf') or walk.tickets
        return unvoted_ticket(tickets.groups, walk)
      end
    else
      walk.tickets.ended = true
    end
  end
  local rows, from_queue, from_verifying, size, left, may_go_on = {}, 0, {}, 0, {}, true
  local page, at, behind = {}, 1, true

  -- It reads beyond the first page only to replace orphans.
  local function first_queued()
    if behind and at > #page then
      page, at = redis.call('ZRANGE', base .. ':queue', from_queue, from_queue + count - 1, 'WITHSCORES'), 1
      behind = #page == 2 * count
    end
    return page[at], tonumber(page[at + 1] or math.huge)
  end

  local with_votes, voted_score
  if walk then
    with_votes, voted_score = next_with_votes()
  end
  while #rows < count and may_go_on do
    local task, score = first_queued()
    local verify = with_votes and tonumber(voted_score) <= score
    if verify then
      task, score = with_votes, tonumber(voted_score)
    end
    local ticket = tickets and tickets.first()
    if ticket and not (task and score <= ticket.score) then
      task = ticket.task
    else
      ticket = nil
    end
    if not task then
      break
    end
    local found
    found, may_go_on = read({ task })
    local row, is_left = found[1], found[1] and found[1].left
    if is_left then
      left[#left + 1] = { task = task, score = score, ticket = ticket, list = verify and ':verifying' or ':queue' }
      row = nil
    end
    size = size + (row and row.size or 0)
    if row and size > bytes and #rows > 0 then
      break
    end
    if row then
      rows[#rows + 1] = row
    end
    if ticket and row then
      row.group = ticket.group
      tickets.start(ticket)
    elseif ticket and is_left then
      tickets.set_aside(ticket)
    elseif ticket then
      tickets.drop(ticket)
    elseif verify then
      from_verifying[#from_verifying + 1] = task
      with_votes, voted_score = next_with_votes()
    else
      from_queue, at = from_queue + 1, at + 2
    end
  end
  if from_queue > 0 then
    redis.call('ZREMRANGEBYRANK', base .. ':queue', 0, from_queue - 1)
  end
  if #from_verifying > 0 then
    redis.call('ZREM', base .. ':verifying', unpack(from_verifying))
  end
  for _, one in ipairs(left) do
    if one.ticket then
      tickets.put_back(one.ticket)
    else
      redis.call('ZADD', base .. one.list, one.score, one.task)
    end
    if walk and (one.ticket or one.list == ':verifying') then
      -- The walk has passed tasks on which the worker has not voted.
      walk.learns = false
    end
  end
  if tickets then
    tickets.close(#rows > 0)
  end
  local onward = walk and close_votes(walk) or ''
  return rows, onward == '' and tickets and tickets.more and '-' or onward
end
