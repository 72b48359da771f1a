-- name_entry(name, project): a project's member of `by-name`, which has all projects in the order of their names.
local function name_entry(name, project)
  return string.sub(string.lower(name), 1, 200) .. '\n' .. project
end
