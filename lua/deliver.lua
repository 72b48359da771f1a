--[[ deliver: take closed tasks of another project as new ones.

  Entries come in the order of the source's outbox; those at or below the mark were delivered before. That makes a
  repeated flush harmless. Pause, rate and access do not hold a chain up. At maxmemory nothing is taken.

  KEYS[1]  broker:{project:P} of the target
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  source project id
  ARGV[2]  now, unix ms; '' outside tests
  ARGV[3+] seven for each entry, at most 500: outbox id, recipe, priority, max_retries, max_assign_time (s),
           verification_count, hash64 or ''

  Returns  how many became tasks; the others were duplicates, or delivered before
  Refuses  NOT_FOUND
  Cost     O(entries * log queue)
]]
--- @include "clock"
--- @include "project"
--- @include "add"

local base, source = KEYS[1], ARGV[1]
local now = clock(ARGV[2])

local fields = project(base, 'remember_closed')
if not fields then
  return redis.error_reply('NOT_FOUND No such project')
end

local function parts(outbox_id)
  local ms, n = string.match(outbox_id, '(%d+)-(%d+)')
  return tonumber(ms), tonumber(n)
end

local mark_ms, mark_n = parts(redis.call('HGET', base .. ':delivered', source) or '0-0')
local tasks, last = {}, nil
for i = 3, #ARGV, 7 do
  local ms, n = parts(ARGV[i])
  if ms > mark_ms or (ms == mark_ms and n > mark_n) then
    tasks[#tasks + 1] = { unpack(ARGV, i + 1, i + 6) }
    last = ARGV[i]
  end
end
if not last then
  return 0
end

local ids, accepted = add(base, tasks, tonumber(fields[2] or 0), now)
redis.call('HSET', base .. ':delivered', source, last)
if accepted > 0 then
  redis.call('HINCRBY', base .. ':counters', 'chained', accepted)
end
if accepted < #ids then
  redis.call('HINCRBY', base .. ':counters', 'duplicates', #ids - accepted)
end
return accepted
