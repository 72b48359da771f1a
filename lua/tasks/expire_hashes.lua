--[[ expire_hashes: remove the hashes of closed tasks that no longer count as duplicates.

  Hashes that were remembered for ever are dropped all at once, as a maintenance call. Hashes that were remembered for a
  time are trimmed bucket by bucket; `recent_trim` is `<next bucket> <earliest second that stays>`.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  about how many hashes to check, 500 or fewer

  Returns  {how many it removed, 1 if there are more to check, else 0}
  Refuses  nothing
  Cost     O(hashes)
]]
--- @include "clock"
--- @include "project"
--- @include "free_hash"
--- @include "remembered"
--- @include "drop_family"
--- @include "drain"

local base, guard = KEYS[1], KEYS[2]
local now, limit = clock(ARGV[1]), tonumber(ARGV[2])

local fields = project(base, 'recent_trim', 'remember_closed')
if not fields or (fields[3] or '0') == '0' then
  return { 0, 0 }
end
local past = remembered(base, now, fields[3])
local next_bucket, oldest = string.match(fields[2] or '', '^(%d+) (%d+)$')
if not next_bucket and not past.trim then
  return { 0, 0 }
end

redis.call('DEL', guard)
local recent = past.recent
if past.closed and not past.closed_counts then
  drop_family(base, 'closed', begin_drain(base, 'drop_hashes'))
end
if not recent or fields[3] == '-1' then
  redis.call('HDEL', base, 'recent_trim')
  return { 0, 0 }
end

local looked, stay, removed, whole = 0, 0, 0, not next_bucket
next_bucket, oldest = tonumber(next_bucket or 0), tonumber(oldest or math.ceil(now / 1000))
while looked < limit and next_bucket < bucket_count(recent) do
  local key = string.format('%s%d', recent.prefix, next_bucket)
  local found, late = redis.call('HGETALL', key), {}
  for i = 1, #found, 2 do
    if tonumber(found[i + 1]) > past.after then
      oldest = math.min(oldest, found[i + 1])
    else
      late[#late + 1] = found[i]
    end
  end
  for _, hash in ipairs(late) do
    free_hash(recent, hash, number_of(recent.salt, hash))
  end
  removed, stay = removed + #late, stay + #found / 2 - #late
  looked, next_bucket = looked + #found / 2 + 1, next_bucket + 1
end
local more = next_bucket < bucket_count(recent)
if more then
  redis.call('HSET', base, 'recent_trim', string.format('%.0f %.0f', next_bucket, oldest))
else
  redis.call('HDEL', base, 'recent_trim')
  -- Hashes that were added between the steps are not earlier than the first step.
  if stay == 0 and whole then
    redis.call('HDEL', base, 'recent_oldest')
  else
    redis.call('HSET', base, 'recent_oldest', oldest)
  end
end
write_family(base, recent)
return { removed, more and 1 or 0 }
