-- is_lost(base, task, fields): whether the record is missing or damaged, or the recipe in its own key is missing.
-- `fields` are those of the record.
local function is_lost(base, task, fields)
  return not fields or not fields.recipe_at and redis.call('EXISTS', base .. ':recipe:' .. task) == 0
end
