--[[ deliver: take closed tasks of another project as new ones.

  Entries come in the order of the source's outbox; those at or below the mark were delivered before. That makes a
  repeated flush harmless. Pause, rate and access do not hold a chain up. At maxmemory, or when there
  are not enough ids left for all, nothing is taken.

  KEYS[1]  broker:{project:P} of the target
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  source project id
  ARGV[2]  now, unix ms; '' outside tests
  ARGV[3+] seven for each entry, at most 500: outbox id, recipe, priority, max_retries, max_assign_time (s),
           verification_count, hash64 or ''

  Returns  how many became tasks; the others were duplicates, or delivered before
  Refuses  NOT_FOUND, TOO_LARGE
  Cost     O(entries * log queue)
]]
--- @include "clock"
--- @include "project"
--- @include "add"
--- @include "wake"

local base, source = KEYS[1], ARGV[1]
local now, _, created = clock(ARGV[2])

local fields = project(base, 'remember_closed', 'seq', 'chained', 'awaited')
if not fields then
  return redis.error_reply('NOT_FOUND No such project')
end

local function parts(outbox_id)
  local ms, n = string.match(outbox_id, '(%d+)-(%d+)')
  return tonumber(ms), tonumber(n)
end

-- Entries come in order: those that were delivered before are the first ones.
local mark_ms, mark_n = parts(redis.call('HGET', base .. ':delivered', source) or '0-0')
local first = 3
while ARGV[first] do
  local ms, n = parts(ARGV[first])
  if ms > mark_ms or (ms == mark_ms and n > mark_n) then
    break
  end
  first = first + 7
end
if not ARGV[first] then
  return 0
end

local remember, seq, chained = tonumber(fields[2] or 0), fields[3] or 0, fields[4] or 0
local full = too_many(seq, (#ARGV - first + 1) / 7)
if full then
  return redis.error_reply(full)
end
local ids, accepted = add(base, ARGV, first + 1, 7, seq, remember, now, created)
redis.call('HSET', base .. ':delivered', source, ARGV[#ARGV - 6])
if accepted > 0 then
  redis.call('HSET', base, 'seq', seq + accepted, 'chained', chained + accepted)
end
if accepted < #ids then
  redis.call('HINCRBY', base, 'duplicates', #ids - accepted)
end
wake(base, fields[5], now, accepted, 0)
return accepted
