--[[ counted: note what was counted of a project; the sums over all projects follow.

  Sums of hidden projects stand apart, so that they can be left out. A project that is gone leaves its totals in the
  sum: a total never goes back. Managers who may accept its requests for access have them among theirs.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  project id
  ARGV[2]  its score in `changed` when the count began
  ARGV[3]  score under which it is counted again, although nothing changes; '' for not at all
  ARGV[4]  its score in `busy`; '' when the project is gone
  ARGV[5]  how many of the numbers may become smaller; the others, which follow them, are totals
  ARGV[6+] pairs: name, number

  Returns  1; 0 when the project is off the directory, and its slot is not cleared yet
  Refuses  nothing
  Cost     O(numbers + log projects), and when requests have come or gone + O(managers with a role)
]]
--- @include "by_name"

local base, guard, project, noted, again, busy = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local last_state = 5 + 2 * tonumber(ARGV[5])
local counts = base .. ':counts:' .. project
local changed = redis.call('ZSCORE', base .. ':changed', project)
local called, is_hidden = unpack(redis.call('HMGET', base .. ':project:' .. project, 'name', 'hidden'))
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
local from, to = base .. (was_hidden and ':sum-hidden' or ':sum'), base .. (hidden and ':sum-hidden' or ':sum')
for i = 6, #ARGV, 2 do
  local name, now = ARGV[i], tonumber(ARGV[i + 1])
  local before = tonumber(redis.call('HGET', counts, name) or 0)
  if i > last_state then
    -- Of two counts at once, the earlier one may come later.
    now = math.max(now, before)
  end
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
  if requests > 0 then
    redis.call('ZADD', base .. ':requests', requests, project)
  else
    redis.call('ZREM', base .. ':requests', project)
  end
end
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
