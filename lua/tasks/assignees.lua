--[[ assignees: how many tasks each worker holds, a page at a time.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  cursor, '0' to begin
  ARGV[2]  about how many assigned tasks to check, 500 or fewer

  Returns  {next cursor ('0' at the end), '<task>:<worker>', ...}; one may come twice
  Refuses  NOT_FOUND
  Cost     O(assigned tasks checked)
]]
--- @include "project"

local base, cursor, count = KEYS[1], ARGV[1], ARGV[2]

if not project(base) then
  return redis.error_reply('NOT_FOUND No such project')
end
local scan, row = redis.call('ZSCAN', base .. ':assigned', cursor, 'COUNT', count), {}
for i = 1, #scan[2], 2 do
  row[#row + 1] = scan[2][i]
end
return { scan[1], unpack(row) }
