--[[ active_note: note whether tasks of a project can be assigned now, and when to check the project next.

  A later note of the project has a larger epoch, and a note with an earlier epoch changes nothing: so it does not
  matter in which order notes arrive. When a project becomes active, workers that wait for a task of any project are
  notified.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  project id
  ARGV[2]  its epoch
  ARGV[3]  '1' if tasks of it can be assigned now, else ''
  ARGV[4]  ms until it must be checked next; '' for never
  ARGV[5]  ms until the next delayed task, or task of a resting group, can be assigned; '' for none
  ARGV[6]  now, unix ms; '' outside tests

  Returns  1 if it was noted, 0 if a later note is known or the project was deleted
  Refuses  nothing
  Cost     O(log projects)
]]
--- @include "clock"

local base, guard, id, epoch, wait = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[4])
local is_active, starts = ARGV[3] == '1', tonumber(ARGV[5])
local now = clock(ARGV[6])

local priority, public = unpack(redis.call('HMGET', base .. ':project:' .. id, 'priority', 'public'))
local known = tonumber(redis.call('HGET', base .. ':epochs', id) or 0)
if not priority or epoch < known then
  return 0
end

redis.call('DEL', guard)
if epoch > known then
  redis.call('HSET', base .. ':epochs', id, ARGV[2])
end
if wait then
  redis.call('ZADD', base .. ':look', now + wait, id)
else
  redis.call('ZREM', base .. ':look', id)
end
if starts then
  redis.call('ZADD', base .. ':starts', now + starts, id)
else
  redis.call('ZREM', base .. ':starts', id)
end
local score, came = -tonumber(priority), 0
if is_active then
  came = redis.call('ZADD', base .. ':active', score, id)
else
  redis.call('ZREM', base .. ':active', id)
end
if is_active and public == '1' then
  redis.call('ZADD', base .. ':active_public', score, id)
else
  redis.call('ZREM', base .. ':active_public', id)
end
if came == 1 then
  redis.pcall('PUBLISH', base .. ':wake', id .. ' ' .. (public or '0'))
end
return 1
