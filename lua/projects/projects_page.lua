--[[ projects_page: projects that a manager may see, or may change, with their configuration, a page at a time.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  manager id, '' for nobody
  ARGV[2]  'projects': best priority first; 'busy': most unfinished tasks first; 'requests': only projects with access
           requests, the most first; 'attention': only projects that may need attention, the worst first; 'by-name'
  ARGV[3]  offset
  ARGV[4]  how many to return
  ARGV[5]  how many to check, 1,000 or fewer
  ARGV[6]  bit of the role that the manager must have; '' for all that the manager may see
  ARGV[7]  with 'by-name', a text in the name, as `:by-name` stores names; '' for any

  Returns  {offset to go on with, false at the end; {id, role bits, {field, value...}}...}
  Refuses  nothing
  Cost     O(projects checked + returned * fields)
]]
--- @include "role"

local base, manager, order, offset = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local count, looks, role, text = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]

local members
if order == 'by-name' then
  members = redis.call('ZRANGE', base .. ':by-name', offset, offset + looks - 1)
else
  members = redis.call('ZREVRANGE', base .. ':' .. order, offset, offset + looks - 1)
end

local rows, onward = {}, #members == looks and offset + looks
for i, member in ipairs(members) do
  local id = string.match(member, '%d+$')
  if text == '' or string.find(string.sub(member, 1, -#id - 2), text, 1, true) then
    local hidden = redis.call('HGET', base .. ':project:' .. id, 'hidden')
    local bits = (role or hidden == '1') and roles_of(base, manager, id)
    if not bits or has_bit(bits, role or READ) then
      if #rows == count then
        onward = offset + i - 1
        break
      end
      rows[#rows + 1] = { id, bits or roles_of(base, manager, id), redis.call('HGETALL', base .. ':project:' .. id) }
    end
  end
end
return { onward, unpack(rows) }
