--- @include "task"

-- worker_row(base, task): a task as workers get it: {retries, its fields but the hash..., id}, with false for a field
-- at its default. nil: its record is gone.
local function worker_row(base, task)
  local row = redis.call('HMGET', base .. ':task:' .. task, 'retries', unpack(FIELDS, 1, HASH - 1))
  row[#row + 1] = task
  return row[1 + RECIPE] and row or nil
end
