--[[ closed_take: what workers have closed and failed in a project since the last count, in numbered batches.

  A batch stays until the directory has counted it. So a crash in between loses no batch, and the directory counts none
  twice.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  number of the batch that the directory has counted; '' for none
  ARGV[2]  how many fields of `closed`, 500 or fewer

  Returns  {number of the next batch, field, number...}; no fields if everything was counted
  Refuses  NOT_FOUND
  Cost     O(fields)
]]
--- @include "project"

local base, guard, counted, most = KEYS[1], KEYS[2], ARGV[1], ARGV[2]

local fields = project(base, 'closed_batch')
if not fields then
  return redis.error_reply('NOT_FOUND No such project')
end
local number = fields[2] or '0'
local batch = redis.call('HGETALL', base .. ':counting')
if #batch > 0 and counted ~= number then
  return { number, unpack(batch) }
end
local taken = redis.call('HRANDFIELD', base .. ':closed', most, 'WITHVALUES')
if #batch == 0 and #taken == 0 then
  return { number }
end

redis.call('DEL', guard)
for i = 1, #batch, 2 do
  redis.call('HINCRBY', base .. ':counted', batch[i], batch[i + 1])
end
redis.call('DEL', base .. ':counting')
if #taken > 0 then
  number = redis.call('HINCRBY', base, 'closed_batch', 1)
  redis.call('HSET', base .. ':counting', unpack(taken))
  for i = 1, #taken, 2 do
    redis.call('HDEL', base .. ':closed', taken[i])
  end
end
return { tostring(number), unpack(taken) }
