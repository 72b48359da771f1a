--[[ leftover_hashes: find which of these known hashes belong to no live task, and free them if asked to.

  The caller has read the records of all entries before the first one here, and found none of these hashes. A record
  never changes its hash, so only later tasks may have them: their records are read here.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  first entry that the caller has not read
  ARGV[2]  how many entries to read, at most 1,000
  ARGV[3]  '1' to free them, '' to change nothing
  ARGV[4+] hashes, at most 500

  Returns  {hash...}; false if there are more entries than that: then nothing was done
  Refuses  NOT_FOUND
  Cost     O(entries + hashes)
]]
--- @include "project"
--- @include "task"
--- @include "free_hash"

local base, guard = KEYS[1], KEYS[2]
local first, entries, repair = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1'

local fields = project(base, 'seq', 'known_hashes')
if not fields then
  return redis.error_reply('NOT_FOUND No such project')
end
local last = tonumber(fields[2] or 0)
if last - first >= entries then
  return false
end
if repair then
  redis.call('DEL', guard)
end

local taken = {}
for bucket = math.floor(first / 32), math.floor(last / 32) do
  for _, record in ipairs(redis.call('HVALS', string.format('%s:tasks:%d', base, bucket))) do
    local _, hash = parse_record(record)
    taken[hash or ''] = true
  end
end
local known, leftovers = family_of(base, 'known', fields[3]), {}
for i = 4, #ARGV do
  local hash, number = ARGV[i], number_of(known.salt, ARGV[i])
  if not taken[hash] and redis.call('SISMEMBER', bucket_for(known, number), hash) == 1 then
    leftovers[#leftovers + 1] = hash
    if repair then
      free_hash(known, hash, number)
    end
  end
end
write_family(base, known)
return leftovers
