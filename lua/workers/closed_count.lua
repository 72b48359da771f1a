--[[ closed_count: add what workers closed and failed in a project to their totals in all projects. A batch counts once.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  project id
  ARGV[2]  number of the batch, as closed_take gave it
  ARGV[3+] pairs as in the project's `closed`: worker id, closed tasks; `-` and the id, failed ones; 500 pairs or fewer

  Returns  1 if it was counted, 0 if it had been counted before
  Refuses  nothing
  Cost     O(workers * log workers)
]]
--- @include "worker_closed"

local base, guard, project, number = KEYS[1], KEYS[2], ARGV[1], ARGV[2]

if tonumber(redis.call('HGET', base .. ':counted', project) or 0) >= tonumber(number) then
  return 0
end
redis.call('DEL', guard)
for i = 3, #ARGV, 2 do
  local failing = string.match(ARGV[i], '^-(.+)$')
  if not failing then
    add_closed(base, ARGV[i], ARGV[i + 1])
  elseif redis.call('EXISTS', base .. ':worker:' .. failing) == 1 then
    redis.call('ZINCRBY', base .. ':worker-failed', ARGV[i + 1], failing)
  end
end
redis.call('HSET', base .. ':counted', project, number)
return 1
