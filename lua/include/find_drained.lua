--- @include "assignment"
--- @include "holder"

-- find_drained(base, drains, task): of the maintenance call that has taken this task and not worked it off yet: what it
-- does, the state that the task had, and its score there. nil: none has. `drains`: the fields and values of `:drains`.
local function find_drained(base, drains, task)
  for i = 1, #drains, 2 do
    for _, state in ipairs({ 'queue', 'verifying', 'assigned', 'failed' }) do
      local member = state == 'assigned' and assignment(task, holder_of(base, task) or '') or task
      local score = redis.call('ZSCORE', base .. ':drain:' .. drains[i] .. ':' .. state, member)
      if score then
        return drains[i + 1], state, score
      end
    end
  end
end
