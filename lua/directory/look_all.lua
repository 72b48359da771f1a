--[[ look_all: check all projects now that were to be checked some time, because the clock was set back.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard

  Returns  1
  Refuses  nothing
  Cost     O(projects * log projects)
]]
local base, guard = KEYS[1], KEYS[2]

redis.call('DEL', guard)
for _, name in ipairs({ ':look', ':starts' }) do
  redis.call('ZUNIONSTORE', base .. name, 1, base .. name, 'WEIGHTS', 0)
end
return 1
