--[[ active_list: projects where a worker may find a task, best priority first, a page at a time.

  These are public projects and those that grant the worker access, if tasks there can be assigned, also those where a
  rest of a group or a delay has just ended.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  worker id
  ARGV[2]  page, from 0
  ARGV[3]  how many projects of each kind a page looks at, at most 500
  ARGV[4]  now, unix ms; '' outside tests

  Returns  {1 when there is another page, else 0; for each project its id, the revision of its configuration}
  Refuses  nothing
  Cost     O(page), and once 500 projects granted to the worker
]]
--- @include "clock"

local base, granted, page, size = KEYS[1], KEYS[1] .. ':worker:' .. ARGV[1] .. ':projects', tonumber(ARGV[2]), ARGV[3]
local now, first, MOST_GRANTED = clock(ARGV[4]), page * size, 500
local found, seen, more = {}, {}, false

local function add(id, score)
  if not seen[id] then
    seen[id], found[#found + 1] = true, { id = id, score = tonumber(score) }
  end
end

local function ranked(key)
  local rows = redis.call('ZRANGE', key, first, first + size - 1, 'WITHSCORES')
  more = more or #rows == 2 * size
  return rows
end

local public = ranked(base .. ':active_public')
for i = 1, #public, 2 do
  add(public[i], public[i + 1])
end
if redis.call('SCARD', granted) > MOST_GRANTED then
  local rows, ids = ranked(base .. ':active'), {}
  for i = 1, #rows, 2 do
    ids[#ids + 1] = rows[i]
  end
  for i, mine in ipairs(#ids > 0 and redis.call('SMISMEMBER', granted, unpack(ids)) or {}) do
    if mine == 1 then
      add(ids[i], rows[2 * i])
    end
  end
elseif page == 0 then
  local ids = redis.call('SMEMBERS', granted)
  for i, score in ipairs(#ids > 0 and redis.call('ZMSCORE', base .. ':active', unpack(ids)) or {}) do
    if score then
      add(ids[i], score)
    end
  end
end
-- Here a rest or a delay has ended, and the next sweep has not noted that yet.
local due = page == 0 and redis.call('ZRANGE', base .. ':starts', '-inf', now, 'BYSCORE', 'LIMIT', 0, size) or {}
for _, id in ipairs(due) do
  local priority, is_public = unpack(redis.call('HMGET', base .. ':project:' .. id, 'priority', 'public'))
  if priority and (is_public == '1' or redis.call('SISMEMBER', granted, id) == 1) then
    add(id, -tonumber(priority))
  end
end
table.sort(found, function(one, other)
  return one.score < other.score or one.score == other.score and tonumber(one.id) < tonumber(other.id)
end)
local answer = { more and 1 or 0 }
for _, project in ipairs(found) do
  answer[#answer + 1] = project.id
  answer[#answer + 1] = redis.call('HGET', base .. ':project:' .. project.id, 'revision') or '0'
end
return answer
