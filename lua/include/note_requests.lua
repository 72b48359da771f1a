--- @include "role"

-- note_requests(base, project, requests, manager, bits): writes how many requests a project has to
-- `:manager:<id>:requests`, if the manager may accept them.
local function note_requests(base, project, requests, manager, bits)
  local key = base .. ':manager:' .. manager .. ':requests'
  if requests > 0 and has_bit(tonumber(bits), MANAGE_ACCESS) then
    redis.call('HSET', key, project, requests)
  else
    redis.call('HDEL', key, project)
  end
end
