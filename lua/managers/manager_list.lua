--[[ manager_list: all accounts, a page at a time.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  first manager id
  ARGV[2]  how many ids to look at, 500 or fewer

  Returns  for each account {manager id, username, tracker_admin ('0' or '1'), register time (unix s)}
  Refuses  nothing
  Cost     O(ids)
]]
local base, first, count = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])

local rows = {}
local last = math.min(first + count - 1, tonumber(redis.call('GET', base .. ':next-manager') or 0))
for id = first, last do
  local fields = redis.call('HMGET', base .. ':manager:' .. string.format('%d', id), 'username', 'tracker_admin',
    'register_time')
  if fields[1] then
    rows[#rows + 1] = { id, unpack(fields, 1, 3) }
  end
end
return rows
