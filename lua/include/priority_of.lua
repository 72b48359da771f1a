--- @include "ids"

-- priority_of(score): the priority, as text.
local function priority_of(score)
  return string.format('%d', -math.floor(score / PRIORITY_STEP))
end
