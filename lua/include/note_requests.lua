--- @include "role"

-- note_requests(base, project, requests, manager, bits): a manager who may accept the requests of a project, of which
-- there are so many, has them in `:manager:<id>:requests`.
local function note_requests(base, project, requests, manager, bits)
  local key = base .. ':manager:' .. manager .. ':requests'
  if requests > 0 and has_bit(tonumber(bits), MANAGE_ACCESS) then
    redis.call('HSET', key, project, requests)
  else
    redis.call('HDEL', key, project)
  end
end
