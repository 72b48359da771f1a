-- Ids, places and scores. Lua would print large numbers as 1e+15: whatever becomes text goes through string.format.
local PRIORITY_STEP = 2 ^ 37

-- task_id(base, n): the id of entry n of the project that owns `base`, n * 100000 + project.
local function task_id(base, n)
  return string.format('%.0f%05d', n, tonumber(string.match(base, '{project:(%d+)}$')))
end

-- score_of(priority, place): lowest first, so the highest priority, and within it the earliest place.
local function score_of(priority, place)
  return string.format('%.0f', place - priority * PRIORITY_STEP)
end

local function priority_of(score)
  return string.format('%d', -math.floor(score / PRIORITY_STEP))
end
