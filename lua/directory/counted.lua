--[[ counted: note the counts of a project and whether it needs attention, and add the differences to the sums over all
  projects.

  Hidden projects have sums of their own, so that they can be left out. The totals of a deleted project stay in the sum:
  a total never becomes smaller. The number of its access requests is noted for each manager who may accept them.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  project id
  ARGV[2]  its score in `changed` when the count began
  ARGV[3]  its new score in `changed`, to be counted again even if nothing changes; '' for none
  ARGV[4]  its score in `busy`; '' if the project was deleted
  ARGV[5]  how many of the numbers may become smaller; the others, which follow them, are totals
  ARGV[6]  now, unix ms; '' outside tests
  ARGV[7+] pairs: name, number

  Returns  1; 0 if the project was deleted from the directory, and its slot is not cleared yet
  Refuses  nothing
  Cost     O(numbers + log projects), and when requests have come or gone + O(managers with a role)
]]
--- @include "by_name"
--- @include "clock"
--- @include "note_attention"

local base, guard, project, noted, again, busy = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local last_state, now_ms = 6 + 2 * tonumber(ARGV[5]), clock(ARGV[6])
local counts = base .. ':counts:' .. project
local changed = redis.call('ZSCORE', base .. ':changed', project)
local called, is_hidden, paused = unpack(redis.call('HMGET', base .. ':project:' .. project, 'name', 'hidden',
  'paused'))
local hidden = is_hidden == '1'
local was_hidden = redis.call('HEXISTS', counts, 'hidden') == 1

if busy ~= '' and not called then
  return 0
end
redis.call('DEL', guard)
if busy == '' then
  hidden = was_hidden
end
local requests
local numbers, numbers_before = {}, {}
local from, to = base .. (was_hidden and ':sum-hidden' or ':sum'), base .. (hidden and ':sum-hidden' or ':sum')
for i = 7, #ARGV, 2 do
  local name, now = ARGV[i], tonumber(ARGV[i + 1])
  local before = tonumber(redis.call('HGET', counts, name) or 0)
  if i > last_state then
    -- Two processes may count at once, and the earlier count may arrive later.
    now = math.max(now, before)
  end
  numbers[name], numbers_before[name] = now, before
  if from ~= to and before ~= 0 then
    redis.call('HINCRBY', from, name, -before)
  end
  local more = from == to and now - before or now
  if more ~= 0 then
    redis.call('HINCRBY', to, name, more)
  end
  if now ~= before then
    redis.call('HSET', counts, name, now)
    requests = name == 'now_requests' and now or requests
  end
end
if requests then
  --- @include "note_requests"
  local roles = redis.call('HGETALL', base .. ':roles:' .. project)
  for i = 1, #roles, 2 do
    note_requests(base, project, requests, roles[i], roles[i + 1])
  end
end
note_attention(base, project, now_ms, paused == '1', busy ~= '' and numbers or nil, numbers_before)
if busy == '' then
  redis.call('DEL', counts)
  redis.call('ZREM', base .. ':busy', project)
elseif hidden then
  redis.call('HSET', counts, 'hidden', '1')
else
  redis.call('HDEL', counts, 'hidden')
end
if busy ~= '' then
  redis.call('ZADD', base .. ':busy', busy, project)
  -- A project may be older than `by-name`.
  redis.call('ZADD', base .. ':by-name', 0, name_entry(called, project))
end
if changed and tonumber(changed) == tonumber(noted) then
  if again ~= '' then
    redis.call('ZADD', base .. ':changed', again, project)
  else
    redis.call('ZREM', base .. ':changed', project)
  end
end
return 1
