--[[ access_list: the workers that asked for access to a project, or have it, a page at a time.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  'requests' or 'access'
  ARGV[2]  cursor, '0' to begin
  ARGV[3]  about how many workers

  Returns  {next cursor ('0' at the end), {worker id, what...}}; a worker may come twice
  Refuses  NOT_FOUND
  Cost     O(workers)
]]
--- @include "project"

local base, list, cursor, count = KEYS[1], ARGV[1], ARGV[2], ARGV[3]

if not project(base) then
  return redis.error_reply('NOT_FOUND No such project')
end
return redis.call('HSCAN', base .. ':' .. list, cursor, 'COUNT', count)
