-- A task's record is one text: its first line has when it was created (unix s) and its fields, with spaces between
-- them; its recipe follows. Fields at the end that have their default are left out, so a new field goes to the end.
-- Scripts take a new task as such a text without the time. `TaskFields` in broker/store/task_fields.py has the same
-- fields and defaults.

-- parse_record(record): created, hash, priority, max_retries, max_assign_time, verification_count, retries, as text, ''
-- for a default; then a newline, or '' where the recipe stands apart, and where the recipe begins. nil: there is no
-- record, or it is damaged.
local function parse_record(record)
  return string.match(record or '', '^(%d+) (%-?%d*) ?(%-?%d*) ?(%d*) ?(%d*) ?(%d*) ?(%d*)(\n?)()')
end
