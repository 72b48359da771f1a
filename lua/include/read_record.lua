--- @include "task"

-- read_record(record): its fields as a table, with numbers but for `created`, `hash` and `group`; `recipe_at` is nil
-- when the recipe stands apart.
local function read_record(record)
  local created, hash, priority, max_retries, max_assign_time, verification_count, counts, group, newline, recipe_at =
    parse_record(record)
  if not created then
    return nil
  end
  local retries, reclaims, round = string.match(counts, '^(%d*) ?(%d*) ?(%d*)')
  return {
    created = created,
    hash = hash,
    priority = tonumber(priority) or 0,
    max_retries = tonumber(max_retries) or 0,
    max_assign_time = tonumber(max_assign_time) or 0,
    verification_count = tonumber(verification_count) or 1,
    retries = tonumber(retries) or 0,
    reclaims = tonumber(reclaims) or 0,
    round = tonumber(round) or 1,
    group = group,
    recipe_at = newline ~= '' and recipe_at or nil,
  }
end
