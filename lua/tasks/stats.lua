--[[ stats: how many tasks are in each state, and the totals since the project began.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard

  Returns  {waiting, verifying, assigned, failed, {counter, total...}}
  Refuses  NOT_FOUND
  Cost     O(1)
]]
--- @include "project"
--- @include "totals"

local base = KEYS[1]

if not project(base) then
  return redis.error_reply('NOT_FOUND No such project')
end
local totals, counted = redis.call('HMGET', base, unpack(TOTALS)), {}
for i, name in ipairs(TOTALS) do
  if totals[i] then
    counted[#counted + 1] = name
    counted[#counted + 1] = totals[i]
  end
end
return {
  redis.call('ZCARD', base .. ':queue'),
  redis.call('ZCARD', base .. ':verifying'),
  redis.call('ZCARD', base .. ':assigned'),
  redis.call('ZCARD', base .. ':failed'),
  counted,
}
