--- @include "with_recipe"

-- send_on(base, task, record, newline, chain): adds a task that closes to the outbox, if the project has a chain, in
-- the same step that closes it. `newline` is '' if the recipe is in a key of its own.
local function send_on(base, task, record, newline, chain)
  if chain ~= '0' then
    local whole = with_recipe(base, task, record, newline) or record .. '\n'
    redis.call('XADD', base .. ':outbox', '*', 'target', chain, 'task', task, 'record', whole)
  end
end
