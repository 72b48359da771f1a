-- A task's record is one text: its first line has when it was created (unix s) and its numbers, with spaces between
-- them, and then, of a task that has one, ` @` and its group; its recipe follows. Numbers at the end that have their
-- default are left out, so a new one goes to the end. Scripts take a new task as such a text without the time. One that
-- shall not wait at once begins with `+`, ms from now, and a space; or with `=`, unix ms, and a space.
-- `TaskFields` in broker/store/task_fields.py has the same fields and defaults.

-- parse_record(record): created, hash, priority, max_retries, max_assign_time, verification_count, counts, group, as
-- text, '' for a default; then a newline, or '' where the recipe stands apart, and where the recipe begins. nil: there
-- is no record, or it is damaged. The counts are the numbers that change: retries, reclaims and the round.
local function parse_record(record)
  return string.match(record or '', '^(%d+) (%-?%d*) ?(%-?%d*) ?(%d*) ?(%d*) ?(%d*) ?([ %d]*)@?([^\n]*)(\n?)()')
end
