-- holder_of(base, task): the worker that `:holders` names and the assign time (unix s), as text; nil for none.
local function holder_of(base, task)
  return string.match(redis.call('HGET', base .. ':holders', task) or '', '^(%d+) (%d+)')
end
