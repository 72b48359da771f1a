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

-- read_record(record): the same as a table, with numbers but for `created` and `hash`; `recipe_at` is nil when the
-- recipe stands apart.
local function read_record(record)
  local created, hash, priority, max_retries, max_assign_time, verification_count, retries, newline, recipe_at =
    parse_record(record)
  return created and {
    created = created,
    hash = hash,
    priority = tonumber(priority) or 0,
    max_retries = tonumber(max_retries) or 0,
    max_assign_time = tonumber(max_assign_time) or 0,
    verification_count = tonumber(verification_count) or 1,
    retries = tonumber(retries) or 0,
    recipe_at = newline ~= '' and recipe_at or nil,
  }
end
