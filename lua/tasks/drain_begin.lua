--[[ drain_begin: take all tasks that a maintenance call affects out of reach, in one step.

  The sets are renamed, which takes the same time whatever their size; drain_step then processes them. Tasks that are
  submitted later are not affected. A deleted project keeps a mark for a day, so that no late copy revives it.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  'reset_failed', 'reclaim_assigned', 'hard_reset' or 'delete'

  Returns  how many tasks are affected
  Refuses  NOT_FOUND
  Cost     O(maintenance calls in progress)
]]
--- @include "project"
--- @include "drop_family"
--- @include "drain"

local base, guard, operation = KEYS[1], KEYS[2], ARGV[1]
local ALL = { 'queue', 'verifying', 'delayed', 'assigned', 'failed' }
local CONCERNED = { reset_failed = { 'failed' }, reclaim_assigned = { 'assigned' }, hard_reset = ALL, delete = ALL }

-- A project may be deleted before its copy arrives here: then the mark refuses the copy.
if not project(base) and (operation ~= 'delete' or redis.call('EXISTS', base) == 1) then
  return redis.error_reply('NOT_FOUND No such project')
end

redis.call('DEL', guard)
local deletes, affected = operation == 'hard_reset' or operation == 'delete', 0

-- Tasks that an earlier call has taken and not processed yet are deleted too: else they would come back after this
-- call, or free the hashes of new tasks.
local earlier = deletes and redis.call('HGETALL', base .. ':drains') or {}
for i = 1, #earlier, 2 do
  local puts_back = earlier[i + 1] == 'reset_failed' or earlier[i + 1] == 'reclaim_assigned'
  if string.find(earlier[i + 1], '^%a+_tasks ') then
    redis.call('HDEL', base .. ':drains', earlier[i])
  end
  if puts_back or earlier[i + 1] == 'remove_group' then
    redis.call('HSET', base .. ':drains', earlier[i], 'hard_reset')
  end
  if puts_back then
    for _, state in ipairs(ALL) do
      affected = affected + redis.call('ZCARD', base .. ':drain:' .. earlier[i] .. ':' .. state)
    end
  end
end

-- Not by UNLINK: to free a million members at once blocks the server, although another thread does it.
local taken, drain = {}, nil
for _, name in ipairs(CONCERNED[operation]) do
  taken[#taken + 1] = redis.call('EXISTS', base .. ':' .. name) == 1 and name or nil
end
for _, name in ipairs(deletes and { 'voted', 'due', 'ready', 'ready_voted' } or {}) do
  taken[#taken + 1] = redis.call('EXISTS', base .. ':' .. name) == 1 and name or nil
end
local hashes = false
for _, name in ipairs(deletes and { 'known', 'closed', 'recent' } or {}) do
  hashes = hashes or redis.call('HEXISTS', base, name .. '_hashes') == 1
end
if #taken > 0 or hashes or operation == 'delete' then
  drain = begin_drain(base, operation)
end
for _, name in ipairs(taken) do
  redis.call('RENAME', base .. ':' .. name, drain .. ':' .. name)
end
for _, state in ipairs(CONCERNED[operation]) do
  affected = affected + (drain and redis.call('ZCARD', drain .. ':' .. state) or 0)
end
if drain and deletes then
  -- The tasks of groups stay where they are: the project uses another `group_gen` from now on.
  local waiting, verifying, gen = unpack(redis.call('HMGET', base, 'group_waiting', 'group_verifying', 'group_gen'))
  affected = affected + (waiting or 0) + (verifying or 0)
  redis.call('SET', drain .. ':gen', gen or '0')
  redis.call('HDEL', base, 'group_waiting', 'group_verifying')
  redis.call('HSET', base, 'group_gen', string.match(drain, '%d+$'))
end
if hashes then
  drop_family(base, 'known', drain)
  drop_family(base, 'closed', drain)
  drop_family(base, 'recent', drain)
end
if operation == 'delete' then
  redis.call('DEL', base)
  redis.call('HSET', base, 'deleted', '1')
  redis.call('EXPIRE', base, 86400)
end
return affected
