--[[ oldest: how long the oldest of those tasks that are first of their priority has been in the project.

  What waits longest is first of its priority. A task that has gone back counts from its submit, not from there.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  priorities to look at, the highest first

  Returns  seconds since it was submitted, or -1 when no task waits without votes
  Refuses  nothing
  Cost     O(priorities * log queue)
]]
--- @include "clock"
--- @include "priority_of"
--- @include "records"

local base = KEYS[1]
local now, priorities = clock(ARGV[1]), tonumber(ARGV[2])

local oldest, from = nil, '-inf'
for _ = 1, priorities do
  local first = redis.call('ZRANGE', base .. ':queue', from, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
  if not first[1] then
    break
  end
  local created = parse_record(redis.call('HGET', bucket_of(base, first[1])))
  -- One that has lost its record says nothing; the next get drops it.
  if created then
    oldest = math.min(oldest or math.huge, created)
  end
  from = score_of(tonumber(priority_of(first[2])) - 1, 0)
end
return oldest and math.max(0, math.floor(now / 1000) - oldest) or -1
