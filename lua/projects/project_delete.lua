--[[ project_delete: a manager deletes a project from the directory; its slot is cleared after that.

  The project stays in `:deleted` until its slot is cleared and no chain leads to it, so that the sweeper can finish
  this after a crash. Its id is never used again.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  manager id
  ARGV[2]  project id

  Returns  1
  Refuses  NOT_FOUND, DENIED
  Cost     O(managers with a role)
]]
--- @include "by_name"
--- @include "note_requests"
--- @include "role"

local base, guard, manager, id = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local key = base .. ':project:' .. id

local fields = redis.call('HMGET', key, 'name', 'repo', 'creator')
if not fields[1] then
  return redis.error_reply('NOT_FOUND No such project')
end
local bits = roles_of(base, manager, id)
if not has_bit(bits, EDIT) or not has_bit(bits, MAINTENANCE) then
  return redis.error_reply('DENIED Needs the EDIT and MAINTENANCE roles on the project')
end

redis.call('DEL', guard)
redis.call('SADD', base .. ':deleted', id)
redis.call('SREM', base .. ':unpushed', id)
redis.call('ZREM', base .. ':projects', id)
redis.call('ZREM', base .. ':active', id)
redis.call('ZREM', base .. ':active_public', id)
redis.call('ZREM', base .. ':starts', id)
redis.call('ZREM', base .. ':look', id)
redis.call('HDEL', base .. ':epochs', id)
redis.call('ZREM', base .. ':busy', id)
for _, list in ipairs({ ':stalled', ':failing', ':requests', ':blocked', ':attention' }) do
  redis.call('ZREM', base .. list, id)
end
for _, holder in ipairs(redis.call('HKEYS', base .. ':roles:' .. id)) do
  note_requests(base, id, 0, holder, 0)
end
redis.call('HDEL', base .. ':names', fields[1])
redis.call('ZREM', base .. ':by-name', name_entry(fields[1], id))
if fields[2] and fields[2] ~= '' then
  redis.call('SREM', base .. ':repos:' .. fields[2], id)
end
if fields[3] then
  redis.call('HINCRBY', base .. ':manager:' .. fields[3], 'projects', -1)
end
redis.call('DEL', base .. ':roles:' .. id, key)
return 1
