--- @include "task"

-- read_record(record): its fields as a table: `created`, `hash` and `group` as text, the others as numbers; `recipe_at`
-- is nil if the recipe is in a key of its own.
local function read_record(record)
  local created, hash, group, newline, recipe_at, counts, max_assign_time, verification_count, priority, max_retries =
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

-- with_counts(record, fields): the record with the retries, reclaims and round in `fields`.
local function with_counts(record, fields)
  local numbers = string.format('%s %s %d %d %d %d %d', fields.created, fields.hash, fields.priority,
    fields.max_retries, fields.max_assign_time, fields.verification_count, fields.retries)
  if fields.round > 1 then
    numbers = string.format('%s %d %d', numbers, fields.reclaims, fields.round)
  elseif fields.reclaims > 0 then
    numbers = string.format('%s %d', numbers, fields.reclaims)
  end
  -- What follows the numbers: the group, the recipe.
  local rest = string.match(record, '[@\n].*$') or ''
  return numbers .. (string.sub(rest, 1, 1) == '@' and ' ' or '') .. rest
end
