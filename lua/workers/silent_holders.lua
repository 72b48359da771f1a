--[[ silent_holders: workers that hold tasks and have not been here for a while.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  those that were here before that, unix s
  ARGV[2]  how many to look at, 1,000 or fewer: those that were here last

  Returns  {how many of them hold tasks, how many tasks they hold, the one that was here last, 0 for none}
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
