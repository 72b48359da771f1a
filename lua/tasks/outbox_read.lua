--[[ outbox_read: the oldest closed tasks that wait to be delivered to a chained project.

  Each read gets a larger number than all before it. The target takes nothing from a read that is older than the last
  one that it knows. If a target knows a newer read than this slot, which has lost its last changes, numbers go on above
  that.

  KEYS[1]  broker:{project:P} of the source
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  how many entries
  ARGV[2]  the newest read that a target knows, 0 for none

  Returns  {number of this read, entry...}, oldest first, each {outbox id, target, task id, its record}
  Refuses  nothing
  Cost     O(entries)
]]
local base, guard, count, known = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2])

local entries = redis.call('XRANGE', base .. ':outbox', '-', '+', 'COUNT', count)
local read = 0
if #entries > 0 then
  redis.call('DEL', guard)
  read = math.max(tonumber(redis.call('HGET', base, 'outbox_read') or 0), known) + 1
  redis.call('HSET', base, 'outbox_read', read)
end

local rows = { read }
for _, entry in ipairs(entries) do
  local values = {}
  for i = 1, #entry[2], 2 do
    values[entry[2][i]] = entry[2][i + 1]
  end
  rows[#rows + 1] = { entry[1], values.target, values.task, values.record }
end
return rows
