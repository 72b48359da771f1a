--[[ grant_requests: a manager accepts the requests of many workers, as `grant` does for one.

  Workers without a request are left out, so a call whose answer was lost can be repeated.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1+] worker ids, 500 or fewer

  Returns  the workers whose requests were accepted
  Refuses  NOT_FOUND
  Cost     O(workers)
]]
--- @include "project"
--- @include "merge_access"
--- @include "grant_access"

local base, guard = KEYS[1], KEYS[2]

if not project(base) then
  return redis.error_reply('NOT_FOUND No such project')
end

redis.call('DEL', guard)
local accepted = {}
for _, worker in ipairs(ARGV) do
  local asked = redis.call('HGET', base .. ':requests', worker)
  if asked then
    grant_access(base, worker, merge_access(redis.call('HGET', base .. ':access', worker), asked))
    accepted[#accepted + 1] = worker
  end
end
return accepted
