--- @include "assignment"
--- @include "holder"

-- find_drained(base, drains, task, group): of the maintenance call that has taken this task and not worked it off yet:
-- what it does, the state that the task had, and its score there. nil: none has. `drains`: the fields and values of
-- `:drains`; `group`: that of the task, '' for none.
local function find_drained(base, drains, task, group)
  for i = 1, #drains, 2 do
    local drain = base .. ':drain:' .. drains[i]
    for _, state in ipairs({ 'queue', 'verifying', 'assigned', 'failed' }) do
      local member = state == 'assigned' and assignment(task, holder_of(base, task) or '') or task
      local score = redis.call('ZSCORE', drain .. ':' .. state, member)
      if score then
        return drains[i + 1], state, score
      end
    end
    local gen = group ~= '' and redis.call('GET', drain .. ':gen')
    for state, name in pairs(gen and { queue = 'wait', verifying = 'verify' } or {}) do
      local score = redis.call('ZSCORE', string.format('%s:%s:%s:%s', base, name, gen, group), task)
      if score then
        return drains[i + 1], state, score
      end
    end
  end
end
