--[[ silent_holders: workers that hold tasks and have sent no call for a while.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  unix s: workers whose last call was before that are silent
  ARGV[2]  the number of silent workers to look at, at most 1,000: those with the newest calls

  Returns  {workers that hold tasks, tasks that they hold, the worker among them with the newest call or 0}
  Refuses  nothing
  Cost     O(workers that are looked at + log workers)
]]
local base, before, looks = KEYS[1], ARGV[1], ARGV[2]

local workers, tasks, last = 0, 0, 0
local silent = redis.call('ZRANGE', base .. ':worker-seen', '(' .. before, '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, looks)
for _, worker in ipairs(silent) do
  local held = tonumber(redis.call('ZSCORE', base .. ':worker-held', worker) or 0)
  if held > 0 then
    workers, tasks = workers + 1, tasks + held
    last = last == 0 and tonumber(worker) or last
  end
end
return { workers, tasks, last }
