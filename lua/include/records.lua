--- @include "task"

-- The record of task n is the field n of `:tasks:<n / 32>`. If it would be longer than 1,024 bytes, its recipe is in
-- `:recipe:<id>`: the server stores a bucket compactly only while all its values are short.

-- bucket_of(base, task): the key of the task's bucket, and its field there.
local function bucket_of(base, task)
  local n = string.sub(task, 1, -6)
  -- Somebody with redis-cli may have added a member that is no id: it has no record.
  return string.format('%s:tasks:%d', base, math.floor((tonumber(n) or 0) / 32)), n
end

-- by_bucket(base, tasks): for each bucket {key =, fields =, at = the index of each of these tasks in `tasks`}.
local function by_bucket(base, tasks)
  local buckets, of_number, bucket, last = {}, {}, nil, nil
  for i, task in ipairs(tasks) do
    local n = string.sub(task, 1, -6)
    local number = math.floor((tonumber(n) or 0) / 32)
    if number ~= last then
      last, bucket = number, of_number[number]
      if not bucket then
        bucket = { key = string.format('%s:tasks:%d', base, number), fields = {}, at = {} }
        of_number[number], buckets[#buckets + 1] = bucket, bucket
      end
    end
    local count = #bucket.at + 1
    bucket.fields[count], bucket.at[count] = n, i
  end
  return buckets
end

-- records_of(base, tasks): the records of up to 500 tasks, in their order, false for none; and, for more than one task,
-- their buckets as by_bucket returns them.
local function records_of(base, tasks)
  if #tasks == 1 then
    return { redis.call('HGET', bucket_of(base, tasks[1])) }
  end
  local records, buckets = {}, by_bucket(base, tasks)
  for _, bucket in ipairs(buckets) do
    local found = redis.call('HMGET', bucket.key, unpack(bucket.fields))
    for k, i in ipairs(bucket.at) do
      records[i] = found[k]
    end
  end
  return records, buckets
end
