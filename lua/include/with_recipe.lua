-- with_recipe(base, task, record, newline): the record with its recipe, which is in a key of its own if `newline` is
-- ''. nil: the recipe is missing.
local function with_recipe(base, task, record, newline)
  if newline ~= '' then
    return record
  end
  local recipe = redis.call('GET', base .. ':recipe:' .. task)
  return recipe and record .. '\n' .. recipe or nil
end
