--- @include "task"

-- read_record(record): its fields as a table, with numbers but for `created`, `hash` and `group`; `recipe_at` is nil
-- when the recipe stands apart.
local function read_record(record)
  local created, hash, priority, max_retries, max_assign_time, verification_count, retries, group, newline, recipe_at =
    parse_record(record)
  return created and {
    created = created,
    hash = hash,
    priority = tonumber(priority) or 0,
    max_retries = tonumber(max_retries) or 0,
    max_assign_time = tonumber(max_assign_time) or 0,
    verification_count = tonumber(verification_count) or 1,
    retries = tonumber(retries) or 0,
    group = group,
    recipe_at = newline ~= '' and recipe_at or nil,
  }
end
