--[[ outbox_read: the oldest closed tasks that wait to be delivered to a chained project.

  KEYS[1]  broker:{project:P} of the source
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  how many entries

  Returns  for each entry, oldest first, {outbox id, target, recipe, priority, max_retries, max_assign_time,
           verification_count, hash or ''}
  Refuses  nothing
  Cost     O(entries)
]]
local base, count = KEYS[1], ARGV[1]
local NAMES = { 'target', 'recipe', 'priority', 'max_retries', 'max_assign_time', 'verification_count', 'hash' }

local rows = {}
for _, entry in ipairs(redis.call('XRANGE', base .. ':outbox', '-', '+', 'COUNT', count)) do
  local fields, row = {}, { entry[1] }
  for i = 1, #entry[2], 2 do
    fields[entry[2][i]] = entry[2][i + 1]
  end
  for i, name in ipairs(NAMES) do
    row[i + 1] = fields[name]
  end
  rows[#rows + 1] = row
end
return rows
