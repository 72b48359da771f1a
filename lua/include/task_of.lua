-- task_of(member): the task of a member of `:assigned`.
local function task_of(member)
  return string.match(member, '^[^:]*')
end
