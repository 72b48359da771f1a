--[[ deliver: add closed tasks of another project as new tasks, each exactly once.

  The entries are all that a read of the source's outbox has for this project. Nothing is taken from a read that is
  older than the last known one: the caller reads again. So entries that were delivered before and are still in the
  outbox were in the last known read, whose entries `:delivered` keeps. Pause, rates and access do not apply to chains.
  At maxmemory, or if there are not enough ids for all, nothing is taken.

  KEYS[1]  broker:{project:P} of the target
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  source project id
  ARGV[2]  now, unix ms; '' outside tests
  ARGV[3]  number of the read
  ARGV[4+] for each entry, at most 500: outbox id, task id in the source, its record

  Returns  {1, how many became tasks, how many had been delivered before, the epoch as of submit or 0}, the others were
           duplicates; or {0, number of the last known read} if nothing was taken
  Refuses  NOT_FOUND, TOO_LARGE
  Cost     O(entries * log queue)
]]
--- @include "clock"
--- @include "project"
--- @include "add_tasks"
--- @include "enlist"
--- @include "wake"

local base, source, read = KEYS[1], ARGV[1], tonumber(ARGV[3])
local now, _, created = clock(ARGV[2])
local FIRST, STEP = 4, 3

local fields = project(base, 'seq', 'place', 'chained', 'awaited', 'remember_closed', 'known_hashes', 'listed')
if not fields then
  return redis.error_reply('NOT_FOUND No such project')
end
local seq, place, chained, awaited, remember, known_hashes, listed = unpack(fields, 2, 8)
seq = tonumber(seq or 0)

local known, names = string.match(redis.call('HGET', base .. ':delivered', source) or '', '^(%d+) (.*)$')
if known and tonumber(known) >= read then
  return { 0, tonumber(known) }
end

local before = {}
for name in string.gmatch(names or '', '%S+') do
  before[name] = true
end
local fresh, all, repeated = {}, {}, 0
for i = FIRST, #ARGV, STEP do
  local name = ARGV[i] .. '/' .. ARGV[i + 1]
  all[#all + 1] = name
  if before[name] then
    repeated = repeated + 1
  else
    -- As it was submitted: without the time, and without the counts, which are there only as the sixth number and on.
    local text = string.gsub(ARGV[i + 2], '^%d+ ', '', 1)
    fresh[#fresh + 1] = string.gsub(text, '^(%-?%d* %-?%d+ %d+ %d+ %d+) [ %d]*%d', '%1', 1)
  end
end
local full = too_many(seq, #fresh)
if full then
  return redis.error_reply(full)
end

local new = { seq = seq, place = tonumber(place or 0), remember_closed = remember, known_hashes = known_hashes,
  now = now, created = created }
local ids, accepted, startable = add_tasks(base, fresh, 1, 1, new)
redis.call('HSET', base .. ':delivered', source, string.format('%d ', read) .. table.concat(all, ' '))
if accepted > 0 then
  redis.call('HSET', base, 'seq', new.seq, 'place', new.place, 'chained', (chained or 0) + accepted)
end
if accepted < #ids then
  redis.call('HINCRBY', base, 'duplicates', #ids - accepted)
end
if repeated > 0 then
  redis.call('HINCRBY', base, 'repeated', repeated)
end
wake(base, awaited, now, startable, 0)
return { 1, accepted, repeated, accepted > 0 and enlist(base, listed) or 0 }
