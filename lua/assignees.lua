--[[ assignees: how many tasks each worker holds, a page at a time.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  cursor, '0' to begin
  ARGV[2]  about how many workers

  Returns  {next cursor ('0' at the end), worker, tasks, ...}; a worker may come twice
  Refuses  NOT_FOUND
  Cost     O(workers)
]]
--- @include "project"

local base, cursor, count = KEYS[1], ARGV[1], ARGV[2]

if not project(base) then
  return redis.error_reply('NOT_FOUND No such project')
end
local scan = redis.call('SSCAN', base .. ':assignees', cursor, 'COUNT', count)
local row = { scan[1] }
for _, worker in ipairs(scan[2]) do
  row[#row + 1] = worker
  row[#row + 1] = redis.call('SCARD', base .. ':held:' .. worker)
end
return row
