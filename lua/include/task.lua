-- A task's record is one text: its first line has when it was created (unix s) and its numbers, with spaces between
-- them, and then, of a task that has one, ` @` and its group; its recipe follows. Numbers at the end that have their
-- default are left out; the last three are those that change: retries, reclaims and the round. After the group may
-- come texts that no rule reads, each after a tab. Scripts take a new task as such a text without the time. The text of
-- a delayed task begins with `+`, ms from now, and a space; or with `=`, unix ms, and a space.
-- `TaskFields` in broker/store/task_fields.py has the same fields and defaults.

-- parse_record(record): what most scripts read, as text, '' for a default: created, hash, group; a newline, or '' where
-- the recipe is in a key of its own, and where the recipe begins; retries, reclaims and round as one text; then the
-- other numbers. nil: there is no record, or it is damaged.
local function parse_record(record)
  local created, hash, priority, max_retries, max_assign_time, verification_count, counts, group, newline, recipe_at =
    string.match(record or '', '^(%d+) (%-?%d*) ?(%-?%d*) ?(%d*) ?(%d*) ?(%d*) ?([ %d]*)@?([^\t\n]*)[^\n]*(\n?)()')
  return created, hash, group, newline, recipe_at, counts, max_assign_time, verification_count, priority, max_retries
end
