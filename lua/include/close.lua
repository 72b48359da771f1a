--- @include "with_recipe"

-- close(base, task, record, newline, chain): what is left of a task that closes goes to the outbox of the chained
-- project, in the step that closes it. The caller deletes the task and closes its hash: of many tasks at once.
-- `newline` is '' where its recipe stands apart.
local function close(base, task, record, newline, chain)
  if chain ~= '0' then
    local whole = with_recipe(base, task, record, newline) or record .. '\n'
    redis.call('XADD', base .. ':outbox', '*', 'target', chain, 'task', task, 'record', whole)
  end
  if newline == '' then
    redis.call('DEL', base .. ':recipe:' .. task)
  end
end
