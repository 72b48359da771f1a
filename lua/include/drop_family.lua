--- @include "bucket_count"

-- drop_family(base, name, drain): empties a family of hashes in one step; its buckets are deleted with the drain.
local function drop_family(base, name, drain)
  local text = redis.call('HGET', base, name .. '_hashes')
  if text then
    local family = family_of(base, name, text)
    redis.call('HSET', drain .. ':buckets', family.prefix, bucket_count(family))
    redis.call('HDEL', base, name .. '_hashes', name .. '_sample', name .. '_trim', name .. '_oldest')
  end
end
