--[[ check_hashes: count the hashes in some buckets of a family; after the last bucket, correct the sample if asked to.

  While tasks come and go, the count cannot be exact: only a larger difference than the number of these tasks counts. A
  family that was split, trimmed or emptied meanwhile is not judged.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  'known', 'closed' or 'recent'
  ARGV[2]  cursor, '' to begin
  ARGV[3]  about how many hashes to count, 500 or fewer
  ARGV[4]  '1' to repair, '' to change nothing

  Returns  {next cursor, false at the end; percent done; by how much the sample differs; {hash...} of live tasks, if
           the family is 'known'}
  Refuses  NOT_FOUND
  Cost     O(hashes)
]]
--- @include "project"
--- @include "bucket_count"

local base, guard, name, limit, repair = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[3]), ARGV[4] == '1'

local fields = project(base, name .. '_hashes', name .. '_sample', 'recent_oldest', 'recent_trim', 'submitted',
  'chained', 'imported', 'closed', 'removed')
if not fields then
  return redis.error_reply('NOT_FOUND No such project')
end
if not fields[2] then
  return { false, 100, 0, {} }
end
if repair then
  redis.call('DEL', guard)
end

-- How many hashes may have come or gone so far; and a mark: while it stays the same, each other hash is counted once.
local trims = name == 'recent' and fields[5] ~= false
local moves, mark = 0, string.gsub(fields[2], ' ', ',') .. (name == 'recent' and ',' .. (fields[4] or '') or '')
for i = 6, 10 do
  moves = moves + (fields[i] or 0)
end
local bucket, sampled, moves_before, mark_before = string.match(ARGV[2], '^(%d+) (%d+) (%d+) (%S+)$')
bucket, sampled = tonumber(bucket or 0), tonumber(sampled or 0)
moves_before, mark_before = tonumber(moves_before or moves), mark_before or mark

local family, looked, hashes = family_of(base, name, fields[2]), 0, {}
local buckets = bucket_count(family)
while looked < limit and bucket < buckets do
  local key = string.format('%s%d', family.prefix, bucket)
  local found = name == 'recent' and redis.call('HKEYS', key) or name ~= 'recent' and redis.call('SMEMBERS', key)
  for _, hash in ipairs(found) do
    sampled = sampled + (number_of(family.salt, hash) < SAMPLED and 1 or 0)
    hashes[#hashes + 1] = name == 'known' and hash or nil
  end
  looked, bucket = looked + #found + 1, bucket + 1
end
if bucket < buckets then
  return { string.format('%.0f %.0f %.0f %s', bucket, sampled, moves_before, mark_before),
    math.floor(100 * bucket / buckets), 0, hashes }
end

local off = sampled - (fields[3] or 0)
if mark ~= mark_before or trims or math.abs(off) <= moves - moves_before then
  off = 0
elseif repair then
  redis.call('HINCRBY', base, name .. '_sample', off)
end
return { false, 100, off, hashes }
