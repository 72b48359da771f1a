--- @include "records"

-- delete_records(base, tasks, buckets): deletes the records of up to 500 tasks; `buckets`: as by_bucket returns them,
-- if the caller has them. Recipes in keys of their own stay.
local function delete_records(base, tasks, buckets)
  if #tasks == 1 then
    redis.call('HDEL', bucket_of(base, tasks[1]))
    return
  end
  for _, bucket in ipairs(buckets or by_bucket(base, tasks)) do
    redis.call('HDEL', bucket.key, unpack(bucket.fields))
  end
end
