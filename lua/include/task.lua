-- The fields that a submit gives a task, in the order in which scripts take and give them, and what a task has that was
-- submitted without one. `TaskFields` in broker/store/task_fields.py is the same list. Workers do not get the last one.
local FIELDS = { 'recipe', 'priority', 'max_retries', 'max_assign_time', 'verification_count', 'hash' }
local DEFAULTS = { '', '0', '0', '0', '1', '' }
local RECIPE, PRIORITY, MAX_ASSIGN_TIME, VERIFICATION_COUNT, HASH = 1, 2, 4, 5, #FIELDS
