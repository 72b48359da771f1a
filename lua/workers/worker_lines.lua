--[[ worker_lines: the newest log lines of a worker, among the newest of each level.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  worker id
  ARGV[2]  how many lines of each level to give
  ARGV[3]  how many lines of each level to look at
  ARGV[4]  how many of them at a time
  ARGV[5+] levels

  Returns  of each line {level, timestamp, message, data}: level by level, the newest first
  Refuses  nothing
  Cost     O(lines that are looked at)
]]
local base, most, looks, count = KEYS[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
-- A quote in a scope has a backslash in front: only the member itself looks like this.
local wanted = '"worker":' .. ARGV[1] .. '[,}]'

local rows = {}
for i = 5, #ARGV do
  local before, found = '+', 0
  for _ = 1, math.ceil(looks / count) do
    local page = redis.call('XREVRANGE', base .. ':logs:' .. ARGV[i], before, '-', 'COUNT', count)
    for _, line in ipairs(page) do
      local fields = line[2]
      if found < most and string.find(fields[6], wanted) then
        found = found + 1
        rows[#rows + 1] = { ARGV[i], fields[2], fields[4], fields[6] }
      end
      before = '(' .. line[1]
    end
    if found == most or #page < count then
      break
    end
  end
end
return rows
