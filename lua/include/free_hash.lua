--- @include "hashes"

-- free_hash(family, hash, number): it is in the family no longer. 1, or 0 when it was not.
local function free_hash(family, hash, number)
  local key = bucket_for(family, number)
  local gone = family.name == 'recent' and redis.call('HDEL', key, hash)
    or family.name ~= 'recent' and redis.call('SREM', key, hash)
  if number < SAMPLED then
    family.sampled = family.sampled - gone
  end
  return gone
end
