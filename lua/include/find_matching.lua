--- @include "find_task"
--- @include "ids"
--- @include "with_recipe"

-- A filter of tasks: {state =, contains = a text in the recipe or in the message of the last failure, group =, worker =
-- who holds the task or failed it last}; '' for any.

-- may_be(base, state, task): a cheaper test before find_task: false if the task is certainly not in this state.
local function may_be(base, state, task)
  if state == 'failed' or state == 'delayed' then
    return redis.call('ZSCORE', base .. ':' .. state, task)
  end
  return state ~= 'assigned' or holder_of(base, task)
end

-- match(base, filter, task, record): the list of what find_task returns if the task matches, else nil; and how many
-- bytes were read. The cheapest tests come first.
local function match(base, filter, task, record)
  local created, _, group, newline, recipe_at = parse_record(record)
  if not created or filter.group ~= '' and filter.group ~= group then
    return nil, #record
  end
  local error, worker, message_at = '', nil, nil
  if filter.contains ~= '' or filter.worker ~= '' then
    error = redis.call('HGET', base .. ':errors', task) or ''
    worker, message_at = string.match(error, '^(%d+) %d+ %d+ ()')
  end
  local whole = record
  if filter.contains ~= '' then
    whole = with_recipe(base, task, record, newline) or record
    if not string.find(whole, filter.contains, newline == '' and #record + 2 or recipe_at, true)
      and not string.find(error, filter.contains, message_at or 1, true) then
      return nil, #whole
    end
  end
  local place = may_be(base, filter.state, task) and { find_task(base, task) } or {}
  local state = place[1]
  local who = state == 'assigned' and holder_of(base, task) or worker
  if state and (filter.state == '' or filter.state == state) and (filter.worker == '' or filter.worker == who) then
    return place, #whole
  end
  return nil, #whole
end

-- in_order(found, walk): of a bucket, as HGETALL returns it: the numbers that are still to come, in order, and the
-- records by number.
local function in_order(found, walk)
  local bucket, numbers, records = math.floor(walk.entry / 32), {}, {}
  for i = 1, #found, 2 do
    local n = tonumber(found[i])
    local is_ours = n and math.floor(n / 32) == bucket
    if is_ours and (n - walk.entry) * walk.step >= 0 and (walk.last - n) * walk.step >= 0 then
      numbers[#numbers + 1], records[n] = n, found[i + 1]
    end
  end
  table.sort(numbers, function(a, b)
    return (b - a) * walk.step > 0
  end)
  return numbers, records
end

-- empty_run(prefix, bucket, step): 100 if none of 100 buckets from this one on exists, else 1.
local function empty_run(prefix, bucket, step)
  local keys = {}
  for i = 1, 100 do
    keys[i] = string.format('%s%d', prefix, bucket + (i - 1) * step)
  end
  return redis.call('EXISTS', unpack(keys)) == 0 and 100 or 1
end

-- find_matching(base, filter, walk, most): at most so many matching tasks, by number from `walk.entry` to `walk.last`,
-- upwards if `walk.step` is 1, downwards if it is -1. Each is {n =, task =, place = the list of what find_task
-- returns}. A task keeps its number for life, so a walk meets each task at most once while others change them. It looks
-- at no more than `walk.looks` tasks, 10 times as many buckets, most of which may be empty, and 2 kB for each task.
-- Afterwards `walk.entry` is where to go on, nil at the end; `walk.looked` and `walk.bytes` say how much it has read.
local function find_matching(base, filter, walk, most)
  local suffix, prefix, found = suffix_of(base), base .. ':tasks:', {}
  local buckets, tried, step = 0, -100, walk.step
  walk.looked, walk.bytes = 0, 0
  while (walk.last - walk.entry) * step >= 0 do
    if buckets >= 10 * walk.looks then
      return found
    end
    local bucket, run = math.floor(walk.entry / 32), 1
    local list = redis.call('HGETALL', string.format('%s%d', prefix, bucket))
    if #list > 0 then
      local numbers, records = in_order(list, walk)
      for _, n in ipairs(numbers) do
        if walk.looked == walk.looks or walk.bytes >= 2048 * walk.looks or #found == most then
          walk.entry = n
          return found
        end
        local task = string.format('%.0f', n) .. suffix
        local place, bytes = match(base, filter, task, records[n])
        walk.looked, walk.bytes = walk.looked + 1, walk.bytes + bytes
        if place then
          found[#found + 1] = { n = n, task = task, place = place }
        end
      end
    elseif buckets - tried >= 100 then
      run, tried = empty_run(prefix, bucket, step), buckets
    end
    buckets = buckets + run
    walk.entry = step == 1 and 32 * (bucket + run) or 32 * (bucket - run + 1) - 1
  end
  walk.entry = nil
  return found
end
