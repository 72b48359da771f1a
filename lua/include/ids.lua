-- Ids, places and scores. Lua prints large numbers as 1e+15, so they become text by string.format only.
local PRIORITY_STEP = 2 ^ 37

-- Ids end at 2^53: up to there every client and Lua represent integers exactly. Places end where the next priority
-- begins: all later tasks share the last one.
local LAST_ENTRY, LAST_PLACE = 90071992546, PRIORITY_STEP - 1

-- suffix_of(base): the end of the ids of this project's tasks. Entry n has the id n * 100000 + project.
local function suffix_of(base)
  return string.format('%05d', string.match(base, '^.*:(%d+)}$'))
end

-- score_of(priority, place): the lowest score comes first: the highest priority, and within it the earliest place.
local function score_of(priority, place)
  return place - priority * PRIORITY_STEP
end
