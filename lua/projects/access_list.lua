--[[ access_list: the workers that request access to a project, have it, or were rejected, a page at a time.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  'requests', 'access' or 'rejected'
  ARGV[2]  cursor, '0' to begin
  ARGV[3]  about how many workers

  Returns  {next cursor ('0' at the end), {worker id, access ('' for a rejected worker)...}}; a worker may come twice
  Refuses  NOT_FOUND
  Cost     O(workers)
]]
--- @include "project"

local base, list, cursor, count = KEYS[1], ARGV[1], ARGV[2], ARGV[3]

if not project(base) then
  return redis.error_reply('NOT_FOUND No such project')
end
if list == 'rejected' then
  local onward, rejected = unpack(redis.call('SSCAN', base .. ':rejected', cursor, 'COUNT', count))
  local pairs_of = {}
  for i, worker in ipairs(rejected) do
    pairs_of[2 * i - 1], pairs_of[2 * i] = worker, ''
  end
  return { onward, pairs_of }
end
return redis.call('HSCAN', base .. ':' .. list, cursor, 'COUNT', count)
