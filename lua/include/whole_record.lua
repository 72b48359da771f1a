--- @include "records"
--- @include "recipe_apart"

-- whole_record(base, task): its record with its recipe, and its fields. nil: there is none, or it is damaged.
local function whole_record(base, task)
  local record = redis.call('HGET', bucket_of(base, task))
  local fields = read_record(record)
  if fields and not fields.recipe_at then
    local recipe = recipe_apart(base, task)
    record, fields.recipe_at = recipe and record .. '\n' .. recipe, #record + 2
  end
  if fields and record then
    return record, fields
  end
end
