--- @include "records"

-- set_counts(base, task, record, fields): writes the retries, reclaims and round that the fields have now.
local function set_counts(base, task, record, fields)
  local key, n = bucket_of(base, task)
  local first_line = string.format('%s %s %d %d %d %d %d', fields.created, fields.hash, fields.priority,
    fields.max_retries, fields.max_assign_time, fields.verification_count, fields.retries)
  if fields.round > 1 then
    first_line = string.format('%s %d %d', first_line, fields.reclaims, fields.round)
  elseif fields.reclaims > 0 then
    first_line = string.format('%s %d', first_line, fields.reclaims)
  end
  if fields.group ~= '' then
    first_line = first_line .. ' @' .. fields.group
  end
  redis.call('HSET', key, n, first_line .. (fields.recipe_at and string.sub(record, fields.recipe_at - 1) or ''))
end
