--- @include "with_recipe"

-- send_on(base, task, record, newline, chain): a task that closes goes to the outbox of the chained project, if there
-- is one, in the step that closes it. `newline` is '' where its recipe stands apart.
local function send_on(base, task, record, newline, chain)
  if chain ~= '0' then
    local whole = with_recipe(base, task, record, newline) or record .. '\n'
    redis.call('XADD', base .. ':outbox', '*', 'target', chain, 'task', task, 'record', whole)
  end
end
