--[[ submit: add tasks to a project; duplicates are refused one by one, the others are added.

  All tasks of a call are checked before the first write. At maxmemory the first write is refused, so nothing is half
  done. The first chunk of a large call checks the rate for the whole call; later chunks are charged, but never refused.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  worker id
  ARGV[2]  now, unix ms; '' outside tests
  ARGV[3]  how many tasks the call has, in its first chunk; '' in a later one
  ARGV[4+] for each task, at most 500, its text as in include/task.lua

  Returns  for each task, in the order given, its id, or false for a duplicate; then the epoch for active_note, unless
           the directory knows that tasks can be assigned
  Refuses  NOT_FOUND, DENIED, TOO_LARGE, RATE_LIMITED
  Cost     O(tasks * log queue)
]]
--- @include "clock"
--- @include "project"
--- @include "project_rate"
--- @include "add_tasks"

local base, worker, whole = KEYS[1], ARGV[1], tonumber(ARGV[3])
local now, now_us, created = clock(ARGV[2])

local fields = project(base, 'submit_rate', 'submit_paid_off', 'seq', 'place', 'submitted', 'awaited',
  'remember_closed', 'known_hashes', 'listed')
if not fields then
  return redis.error_reply('NOT_FOUND No such project')
end
local rate, paid_off, seq, place, submitted, awaited, remember, known, listed = unpack(fields, 2, 10)
if not string.find(redis.call('HGET', base .. ':access', worker) or '', 'submit', 1, true) then
  return redis.error_reply('DENIED This worker may not submit to the project')
end
seq = tonumber(seq or 0)
local full = too_many(seq, whole or #ARGV - 3)
if full then
  return redis.error_reply(full)
end
local wait = whole and wait_for_rate(rate, paid_off, now_us) or 0
if wait > 0 then
  return redis.error_reply(string.format('RATE_LIMITED %.0f', wait))
end

local new = { seq = seq, place = tonumber(place or 0), remember_closed = remember, known_hashes = known, now = now,
  created = created, awaited = awaited }
local ids, accepted, startable = add_tasks(base, ARGV, 4, 1, new)

charge_rate(base, 'submit_paid_off', rate, paid_off, now_us, accepted)
if accepted > 0 then
  redis.call('HSET', base, 'seq', new.seq, 'place', new.place, 'submitted', (submitted or 0) + accepted)
end
if accepted < #ids then
  redis.call('HINCRBY', base, 'duplicates', #ids - accepted)
end
if awaited then
  --- @include "wake"
  wake(base, awaited, now, startable, 0)
end
if accepted > 0 and listed ~= '1' then
  --- @include "enlist"
  ids[#ids + 1] = enlist(base, listed)
end
return ids
