--[[ tasks_list: a page of the tasks in one state, in the order in which they come up.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  'queue', 'verifying', 'assigned' or 'failed'
  ARGV[2]  offset
  ARGV[3]  how many, 500 or fewer
  ARGV[4]  bytes of recipes at which to stop; one task is always given
  ARGV[5]  bytes of a recipe to give at most, up to a whole character; 0 for all

  Returns  {how many there are, task...}, a task as {id, score, recipe, bytes of the whole recipe, priority, retries,
           max_retries, max_assign_time, verification_count, hash, created (unix s), assignee, assign_time (unix s),
           votes}, with false for a field at its default; votes are pairs: worker, verification
  Refuses  NOT_FOUND
  Cost     O(log tasks in this state + tasks + votes)
]]
--- @include "project"
--- @include "hold"

local base, state, offset, count = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local bytes, longest = tonumber(ARGV[4]), tonumber(ARGV[5])

if not project(base) then
  return redis.error_reply('NOT_FOUND No such project')
end

local key = base .. ':' .. state
local found = redis.call('ZRANGE', key, offset, offset + count - 1, 'WITHSCORES')
local rows, size = {}, 0
for i = 1, #found, 2 do
  local id = state == 'assigned' and holder(found[i]) or found[i]
  local task = base .. ':task:' .. id
  local row = redis.call('HMGET', task, 'recipe', 'priority', 'retries', 'max_retries', 'max_assign_time',
    'verification_count', 'hash', 'created', 'assignee', 'assign_time')
  local length = #row[1]
  local recipe = row[1]
  if longest > 0 and length > longest then
    -- The last character may be cut in two.
    recipe = string.gsub(string.sub(recipe, 1, longest), '[\192-\247][\128-\191]*$', '')
  end
  size = size + #recipe
  if size > bytes and #rows > 0 then
    break
  end
  rows[#rows + 1] = { id, found[i + 1], recipe, length, row[2], row[3], row[4], row[5], row[6], row[7], row[8],
    row[9], row[10], redis.call('HGETALL', task .. ':verifiers') }
end
return { redis.call('ZCARD', key), unpack(rows) }
