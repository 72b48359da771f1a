-- delete_recipes(base, tasks): deletes the recipes of up to 500 tasks that stand apart.
local function delete_recipes(base, tasks)
  local recipes = {}
  for i, task in ipairs(tasks) do
    recipes[i] = base .. ':recipe:' .. task
  end
  if #recipes > 0 then
    redis.call('DEL', unpack(recipes))
  end
end
