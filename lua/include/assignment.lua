-- A worker holds a task if `:assigned` has `<task>:<worker>`, with the deadline. Nothing else says so. `:holders` (task
-- to `<worker> <assign time>`) is an index by task: what it names must be checked in `:assigned`.
local function assignment(task, worker)
  return task .. ':' .. worker
end
