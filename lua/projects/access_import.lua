--[[ access_import: import the access and the access requests of workers of the original tracker.

  Rows are in the order of worker ids. Those up to the mark were imported before and are left alone, whatever was
  granted or revoked since. Access that was granted here stays.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1+] three for each worker, at most 500 workers: id, access ('assign', 'submit' or 'assign,submit'), '1' if it
           was granted, '' if it was requested

  Returns  how many were imported before
  Refuses  NOT_FOUND
  Cost     O(workers)
]]
--- @include "project"
--- @include "merge_access"

local base = KEYS[1]

if not project(base) then
  return redis.error_reply('NOT_FOUND No such project')
end
local mark = tonumber(redis.call('HGET', base .. ':imported', 'access') or 0)
local before = 0
for i = 1, #ARGV, 3 do
  local worker, what, granted = ARGV[i], ARGV[i + 1], ARGV[i + 2] == '1'
  local has = redis.call('HGET', base .. ':access', worker)
  if tonumber(worker) <= mark then
    before = before + 1
  elseif granted then
    redis.call('HSET', base .. ':access', worker, merge_access(has, what))
    redis.call('HDEL', base .. ':requests', worker)
  elseif not has then
    redis.call('HSETNX', base .. ':requests', worker, what)
  end
end
if before < #ARGV / 3 then
  redis.call('HSET', base .. ':imported', 'access', ARGV[#ARGV - 2])
end
return before
