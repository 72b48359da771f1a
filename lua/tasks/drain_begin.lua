--[[ drain_begin: take all tasks concerned by a maintenance call out of reach, in one step.

  The sets are renamed, which takes the same time whatever they hold; drain_step then works them off. What is submitted
  from here on is not concerned. A project that is deleted keeps a mark for a day, so that no late copy revives it.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  'reset_failed', 'reclaim_assigned', 'hard_reset' or 'delete'

  Returns  how many tasks are concerned
  Refuses  NOT_FOUND
  Cost     O(maintenance calls in progress)
]]
--- @include "project"

local base, guard, operation = KEYS[1], KEYS[2], ARGV[1]
local ALL = { 'queue', 'verifying', 'assigned', 'failed' }
local CONCERNED = { reset_failed = { 'failed' }, reclaim_assigned = { 'assigned' }, hard_reset = ALL, delete = ALL }

-- A project may be deleted before its copy has come: the mark keeps a late one out.
if not project(base) and (operation ~= 'delete' or redis.call('EXISTS', base) == 1) then
  return redis.error_reply('NOT_FOUND No such project')
end

redis.call('DEL', guard)
local n = string.format('%d', redis.call('HINCRBY', base, 'seq', 1))
local deletes, affected, taken = operation == 'hard_reset' or operation == 'delete', 0, false

-- What an earlier call has taken and not worked off yet would come back after this one: it is deleted, too.
local earlier = deletes and redis.call('HGETALL', base .. ':drains') or {}
for i = 1, #earlier, 2 do
  if earlier[i + 1] == 'reset_failed' or earlier[i + 1] == 'reclaim_assigned' then
    redis.call('HSET', base .. ':drains', earlier[i], 'hard_reset')
    for _, state in ipairs(ALL) do
      affected = affected + redis.call('ZCARD', base .. ':drain:' .. earlier[i] .. ':' .. state)
    end
  end
end

for _, state in ipairs(CONCERNED[operation]) do
  local count = redis.call('ZCARD', base .. ':' .. state)
  if count > 0 then
    redis.call('RENAME', base .. ':' .. state, base .. ':drain:' .. n .. ':' .. state)
    affected = affected + count
  end
end
for _, name in ipairs(deletes and { 'hashes', 'remembered', 'voted' } or {}) do
  -- Not unlinked: to free a million hashes at once holds the server up, though another thread does it.
  if redis.call('EXISTS', base .. ':' .. name) == 1 then
    redis.call('RENAME', base .. ':' .. name, base .. ':drain:' .. n .. ':' .. name)
    taken = true
  end
end
if operation == 'delete' then
  redis.call('DEL', base)
  redis.call('HSET', base, 'deleted', '1')
  redis.call('EXPIRE', base, 86400)
end
if taken or affected > 0 or operation == 'delete' then
  redis.call('HSET', base .. ':drains', n, operation)
end
return affected
