--- @include "read_record"
--- @include "records"
--- @include "with_recipe"

-- whole_record(base, task): the record with its recipe, and its fields. nil: it is missing or damaged.
local function whole_record(base, task)
  local record = redis.call('HGET', bucket_of(base, task))
  local fields = read_record(record)
  local whole = fields and with_recipe(base, task, record, fields.recipe_at and '\n' or '')
  if whole then
    fields.recipe_at = fields.recipe_at or #record + 2
    return whole, fields
  end
end
