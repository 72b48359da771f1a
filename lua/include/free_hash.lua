--- @include "hashes"

-- free_hash(family, hash, number): removes it from the family. Returns 1, or 0 if the family did not have it.
local function free_hash(family, hash, number)
  local key = bucket_for(family, number)
  local gone = family.name == 'recent' and redis.call('HDEL', key, hash)
    or family.name ~= 'recent' and redis.call('SREM', key, hash)
  if number < SAMPLED then
    family.sampled = family.sampled - gone
  end
  return gone
end
