--- @include "ids"
--- @include "votes"

-- requeue(base, now, tasks, all_fields): puts tasks that are in no set at the END of their priority, so that a task
-- that always fails blocks no other. They take new, larger places: include/unvoted.lua relies on that. `all_fields` are
-- those of their records. Returns for how many tasks without and with votes a worker can be woken.
local function requeue(base, now, tasks, all_fields)
  if #tasks == 0 then
    return 0, 0
  end
  local fresh, voted, grouped = {}, {}, {}
  local place = redis.call('HINCRBY', base, 'place', #tasks) - #tasks
  for i, task in ipairs(tasks) do
    local fields = all_fields[i]
    local is_voted = holds_votes(base, task, fields)
    local list = is_voted and voted or fresh
    local score = score_of(fields.priority, math.min(place + i, LAST_PLACE))
    if fields.group ~= '' then
      grouped[#grouped + 1] = { task, score, is_voted, fields.group }
    else
      list[#list + 1], list[#list + 2] = score, task
    end
  end
  if #fresh > 0 then
    redis.call('ZADD', base .. ':queue', unpack(fresh))
  end
  if #voted > 0 then
    redis.call('ZADD', base .. ':verifying', unpack(voted))
    redis.call('HSET', base, 'voted_place', place + #tasks)
  end
  local fresh_count, voted_count = #fresh / 2, #voted / 2
  if #grouped > 0 then
    --- @include "tickets"
    local groups = open_groups(base, now)
    for _, one in ipairs(grouped) do
      local task, score, is_voted, group = unpack(one)
      enter_group(groups, group, task, score, is_voted)
    end
    close_groups(groups)
    fresh_count, voted_count = fresh_count + groups.tickets, voted_count + groups.voted_tickets
  end
  return fresh_count, voted_count
end
