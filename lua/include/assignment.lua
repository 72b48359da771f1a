-- A task is held by a worker when `assigned` has `<task>:<worker>`, with its deadline. Nothing else says so. `:holders`
-- (task to `<worker> <assign time>`) is for those who look by task: they check what it names in `assigned`.
local function assignment(task, worker)
  return task .. ':' .. worker
end
