--[[ pushed: note that a project's copy has this revision now.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  project id
  ARGV[2]  revision

  Returns  1 if no newer revision must be pushed, else 0
  Refuses  nothing
  Cost     O(1)
]]
local base, guard, id, revision = KEYS[1], KEYS[2], ARGV[1], ARGV[2]

if (redis.call('HGET', base .. ':project:' .. id, 'revision') or revision) ~= revision then
  return 0
end
redis.call('DEL', guard)
redis.call('SREM', base .. ':unpushed', id)
return 1
