-- recipe_apart(base, task): a recipe that stands apart; nil when it is gone.
local function recipe_apart(base, task)
  return redis.call('GET', base .. ':recipe:' .. task) or nil
end
