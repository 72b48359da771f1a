--[[ forget: make the hash of a closed task free again; that of a live task stays.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  worker id; '' for a manager, whose role the caller has checked
  ARGV[2]  now, unix ms; '' outside tests
  ARGV[3]  hash64

  Returns  1, or 0 if the project did not remember the hash
  Refuses  NOT_FOUND, DENIED
  Cost     O(1)
]]
--- @include "clock"
--- @include "project"
--- @include "free_hash"
--- @include "remembered"

local base, guard, worker, hash = KEYS[1], KEYS[2], ARGV[1], ARGV[3]
local now = clock(ARGV[2])

local fields = project(base, 'remember_closed')
if not fields then
  return redis.error_reply('NOT_FOUND No such project')
end
if worker ~= '' and not string.find(redis.call('HGET', base .. ':access', worker) or '', 'submit', 1, true) then
  return redis.error_reply('DENIED This worker may not submit to the project')
end
local remember = fields[2] or '0'
local past = remember ~= '0' and remembered(base, now, remember) or {}

redis.call('DEL', guard)
local forgotten = false
if past.closed then
  forgotten = free_hash(past.closed, hash, number_of(past.closed.salt, hash)) == 1 and past.closed_counts
  write_family(base, past.closed)
end
if past.recent then
  local number = number_of(past.recent.salt, hash)
  local second = redis.call('HGET', bucket_for(past.recent, number), hash)
  forgotten = forgotten or second and tonumber(second) > past.after
  free_hash(past.recent, hash, number)
  write_family(base, past.recent)
end
return forgotten and 1 or 0
