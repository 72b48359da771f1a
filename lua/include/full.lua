-- The score in `:due` is when a rest ends, unix ms; 0.5 less if a block ends then; or FULL plus the epoch of the limits
-- under which the group was full: as many of its tasks were held as its limit allows.
local FULL = 2 ^ 52
