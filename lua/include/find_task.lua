--- @include "assignment"
--- @include "holder"

-- find_task(base, task): where a task is: the state, its member in the set of that name, its score there. nil: nowhere.
local function find_task(base, task)
  for _, state in ipairs({ 'queue', 'verifying', 'assigned', 'failed' }) do
    local member = state == 'assigned' and assignment(task, holder_of(base, task) or '') or task
    local score = redis.call('ZSCORE', base .. ':' .. state, member)
    if score then
      return state, member, score
    end
  end
end
