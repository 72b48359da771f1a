--- @include "assignment"
--- @include "group_key"
--- @include "holder"
--- @include "records"

-- find_task(base, task): where a task is: its state, its score there, the key of the set, its member there, and its
-- group if it waits in one. nil: in no set.
local function find_task(base, task)
  for _, state in ipairs({ 'queue', 'verifying', 'delayed', 'assigned', 'failed' }) do
    local member = state == 'assigned' and assignment(task, holder_of(base, task) or '') or task
    local score = redis.call('ZSCORE', base .. ':' .. state, member)
    if score then
      return state, score, base .. ':' .. state, member
    end
  end
  local _, _, group = parse_record(redis.call('HGET', bucket_of(base, task)))
  if (group or '') ~= '' then
    local gen = redis.call('HGET', base, 'group_gen')
    for _, state in ipairs({ 'queue', 'verifying' }) do
      local key = group_key(base, state, gen, group)
      local score = redis.call('ZSCORE', key, task)
      if score then
        return state, score, key, task, group
      end
    end
  end
end
