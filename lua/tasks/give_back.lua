--[[ give_back: a worker gives back tasks that it holds, as if their deadline had passed.

  This counts as a reclaim: a worker gives back what an earlier run of its program has left.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  worker id
  ARGV[2]  now, unix ms; '' outside tests
  ARGV[3+] task ids, at most 500

  Returns  for each task, in the order asked, 1 if it was given back, 0 if this worker does not hold it
  Refuses  nothing
  Cost     O(tasks * log queue)
]]
--- @include "clock"
--- @include "assignment"
--- @include "reclaim_held"

local base, guard, worker = KEYS[1], KEYS[2], ARGV[1]
local now = clock(ARGV[2])
local members, returned, seen = {}, {}, {}

for i = 3, #ARGV do
  local member = assignment(ARGV[i], worker)
  local mine = not seen[member] and redis.call('ZSCORE', base .. ':assigned', member)
  if mine then
    members[#members + 1], seen[member] = member, true
  end
  returned[#returned + 1] = mine and 1 or 0
end
if #members > 0 then
  redis.call('DEL', guard)
  reclaim_held(base, now, members)
end
return returned
