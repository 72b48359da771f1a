--- @include "assignment"
--- @include "group_key"
--- @include "holder"

-- find_drained(base, drains, task, group): for the maintenance call that has taken this task and not processed it yet:
-- what the call does, the state that the task had, and its score there; nil if there is no such call. `drains`: the
-- fields and values of `:drains`; `group`: that of the task, '' for none.
local function find_drained(base, drains, task, group)
  for i = 1, #drains, 2 do
    local drain = base .. ':drain:' .. drains[i]
    for _, state in ipairs({ 'queue', 'verifying', 'delayed', 'assigned', 'failed' }) do
      local member = state == 'assigned' and assignment(task, holder_of(base, task) or '') or task
      local score = redis.call('ZSCORE', drain .. ':' .. state, member)
      if score then
        return drains[i + 1], state, score
      end
    end
    local gen = group ~= '' and redis.call('GET', drain .. ':gen')
    for _, state in ipairs(gen and { 'queue', 'verifying' } or {}) do
      local score = redis.call('ZSCORE', group_key(base, state, gen, group), task)
      if score then
        return drains[i + 1], state, score
      end
    end
  end
end
