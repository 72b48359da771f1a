-- merge_access(has, more): the union of two accesses or requests; either may be nil.
local function merge_access(has, more)
  local both, may = (has or '') .. (more or ''), {}
  for _, what in ipairs({ 'assign', 'submit' }) do
    if string.find(both, what, 1, true) then
      may[#may + 1] = what
    end
  end
  return table.concat(may, ',')
end
