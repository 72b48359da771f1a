-- The score in `:due` is when a rest ends, unix ms; 0.5 less when a block ends then; or FULL and the epoch of the
-- limits under which the group was found to have as many held as it may.
local FULL = 2 ^ 52
