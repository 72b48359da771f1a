-- Ids, places and scores. Lua would print large numbers as 1e+15: whatever becomes text goes through string.format.
local PRIORITY_STEP = 2 ^ 37

-- Ids end at 2^53, up to which every client and Lua know an integer exactly. Places end where the next priority begins:
-- whatever goes back after that shares the last one.
local LAST_ENTRY, LAST_PLACE = 90071992546, PRIORITY_STEP - 1

-- suffix_of(base): what the ids of this project's tasks end in. Entry n has the id n * 100000 + project.
local function suffix_of(base)
  return string.format('%05d', string.match(base, '^.*:(%d+)}$'))
end

-- score_of(priority, place): lowest first, so the highest priority, and within it the earliest place.
local function score_of(priority, place)
  return place - priority * PRIORITY_STEP
end
