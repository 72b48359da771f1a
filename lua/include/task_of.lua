-- task_of(member): the task that a member of `assigned` names.
local function task_of(member)
  return string.match(member, '^[^:]*')
end
