--- @include "read_record"
--- @include "records"

-- set_counts(base, task, record, fields): writes the retries, reclaims and round in `fields` to the record.
local function set_counts(base, task, record, fields)
  local key, n = bucket_of(base, task)
  redis.call('HSET', key, n, with_counts(record, fields))
end
