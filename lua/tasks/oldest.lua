--[[ oldest: the age of the oldest task among the first ones of each priority.

  The task that waits longest is the first of its priority. A task that was put back still counts from its submit. For
  groups, the first tasks of the groups that come up next count. Tasks with votes count, delayed ones do not.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  how many priorities to check, the highest first, and how many groups

  Returns  {seconds since it was submitted, or -1 if no task waits; seconds since the first delayed task was due, or -1}
  Refuses  nothing
  Cost     O((priorities + groups) * log queue)
]]
--- @include "clock"
--- @include "group_key"
--- @include "priority_of"
--- @include "records"

local base = KEYS[1]
local now, priorities = clock(ARGV[1]), tonumber(ARGV[2])

local oldest

-- A task without a record does not count; the next get drops it.
local function count(task)
  local created = parse_record(redis.call('HGET', bucket_of(base, task)))
  if created then
    oldest = math.min(oldest or math.huge, created)
  end
end

for _, set in ipairs({ ':queue', ':verifying' }) do
  local from = '-inf'
  for _ = 1, priorities do
    local first = redis.call('ZRANGE', base .. set, from, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
    if not first[1] then
      break
    end
    count(first[1])
    from = score_of(tonumber(priority_of(first[2])) - 1, 0)
  end
end

local gen = redis.call('HGET', base, 'group_gen')
for _, set in ipairs({ ':ready', ':ready_voted', ':due' }) do
  for _, group in ipairs(redis.call('ZRANGE', base .. set, 0, priorities - 1)) do
    for _, state in ipairs({ 'queue', 'verifying' }) do
      local task = redis.call('ZRANGE', group_key(base, state, gen, group), 0, 0)[1]
      if task then
        count(task)
      end
    end
  end
end
local first_delayed = redis.call('ZRANGE', base .. ':delayed', '-inf', now, 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')[2]
return {
  oldest and math.max(0, math.floor(now / 1000) - oldest) or -1,
  first_delayed and math.floor((now - first_delayed) / 1000) or -1,
}
