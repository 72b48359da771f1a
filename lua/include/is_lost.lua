-- is_lost(base, task, fields): whether its record is gone or damaged, or its recipe, which stands apart, is gone.
-- `fields` are those of its record.
local function is_lost(base, task, fields)
  return not fields or not fields.recipe_at and redis.call('EXISTS', base .. ':recipe:' .. task) == 0
end
