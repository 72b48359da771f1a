--- @include "records"

-- set_retries(base, task, record, fields, retries): notes how often a task has failed.
local function set_retries(base, task, record, fields, retries)
  local key, n = bucket_of(base, task)
  local first_line = string.format('%s %s %d %d %d %d %d', fields.created, fields.hash, fields.priority,
    fields.max_retries, fields.max_assign_time, fields.verification_count, retries)
  if fields.group ~= '' then
    first_line = first_line .. ' @' .. fields.group
  end
  redis.call('HSET', key, n, first_line .. (fields.recipe_at and string.sub(record, fields.recipe_at - 1) or ''))
end
