--[[ rebase: after the clock was set back, move what began in the future to now, and keep its duration.

  This concerns held tasks (or their deadlines would come an hour late), groups that rest, and remembered hashes. Any
  number of processes may do it, any number of times.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  cursor, 'held 0' to begin
  ARGV[3]  about how many entries to check, 500 or fewer

  Returns  next cursor, as text; false at the end
  Refuses  nothing
  Cost     O(entries * log assigned)
]]
--- @include "clock"
--- @include "project"
--- @include "task_of"
--- @include "holder"
--- @include "remembered"
--- @include "bucket_count"

local base, guard, count = KEYS[1], KEYS[2], tonumber(ARGV[3])
local part, cursor = string.match(ARGV[2], '^(%a+) (%d+)$')
local now, _, seconds = clock(ARGV[1])
seconds = tonumber(seconds)

local fields = project(base, 'remember_closed')
if not fields then
  return false
end
redis.call('DEL', guard)
if part == 'held' then
  local scan = redis.call('ZSCAN', base .. ':assigned', cursor, 'COUNT', count)
  for i = 1, #scan[2], 2 do
    local member = scan[2][i]
    local _, begun = holder_of(base, task_of(member))
    begun = tonumber(begun or 0)
    -- A correction of a second moves nothing.
    if begun > seconds + 1 then
      local row = redis.call('HGET', base .. ':holders', task_of(member))
      redis.call('HSET', base .. ':holders', task_of(member), (string.gsub(row, '^(%d+) %d+', '%1 ' .. seconds, 1)))
      redis.call('ZADD', base .. ':assigned', 'LT', now + math.max(0, scan[2][i + 1] - begun * 1000), member)
    end
  end
  return scan[1] == '0' and 'due 0' or 'held ' .. scan[1]
end

-- A rest is never longer than the delay. A block ends at its date.
if part == 'due' or part == 'resting' then
  --- @include "tickets"
  local groups = open_groups(base, now)
  local scan = redis.call('ZSCAN', base .. ':' .. part, cursor, 'COUNT', count)
  for i = 1, #scan[2], 2 do
    local group, score = scan[2][i], tonumber(scan[2][i + 1])
    local delay, _, blocked = limits_of(groups, group)
    if score < FULL and score > now + delay and score ~= blocked - 0.5 then
      redis.call('ZADD', base .. ':' .. part, now + delay, group)
    end
  end
  return scan[1] ~= '0' and part .. ' ' .. scan[1] or part == 'due' and 'resting 0' or 'hashes 0'
end

local past = remembered(base, now, fields[2] or '0')
local recent, next_bucket, looked = past.recent, tonumber(cursor), 0
while recent and looked < count and next_bucket < bucket_count(recent) do
  local key, later = string.format('%s%d', recent.prefix, next_bucket), {}
  local found = redis.call('HGETALL', key)
  for i = 1, #found, 2 do
    if tonumber(found[i + 1]) > seconds + 1 then
      later[#later + 1] = found[i]
      later[#later + 1] = seconds
    end
  end
  for i = 1, #later, 1000 do
    redis.call('HSET', key, unpack(later, i, math.min(i + 999, #later)))
  end
  looked, next_bucket = looked + #found / 2 + 1, next_bucket + 1
end
if recent and next_bucket < bucket_count(recent) then
  return string.format('hashes %.0f', next_bucket)
end
if past.oldest and past.oldest > seconds then
  redis.call('HSET', base, 'recent_oldest', seconds)
end
if past.since and past.since > now + 1000 then
  redis.call('HSET', base, 'closed_since', string.format('%.0f', now))
end
return false
