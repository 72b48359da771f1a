--- @include "hashes"

-- close_hashes(base, list, remember, known_text, now): the tasks of these hashes have closed, and the project remembers
-- them as it is set to: `remember` and `known_text` are its fields `remember_closed` and `known_hashes`.
local function close_hashes(base, list, remember, known_text, now)
  if #list == 0 then
    return
  end
  local known = family_of(base, 'known', known_text)
  for _, hash in ipairs(list) do
    free_hash(known, hash)
  end
  if known.sampled < 0 then
    write_family(base, known)
  end
  if not remember or remember == '0' then
    return
  end

  local name, second = remember == '-1' and 'closed' or 'recent', math.ceil(now / 1000)
  local found = redis.call('HMGET', base, name .. '_hashes', 'recent_oldest')
  local family = family_of(base, name, found[1])
  for _, hash in ipairs(list) do
    local key, x = bucket_for(family, hash)
    local added = name == 'closed' and redis.call('SADD', key, hash)
      or name == 'recent' and redis.call('HSET', key, hash, second)
    if x < SAMPLED then
      family.sampled = family.sampled + added
    end
  end
  if family.sampled > 0 or family.is_new then
    write_family(base, family)
  end
  if name == 'recent' and second < (tonumber(found[2]) or math.huge) then
    redis.call('HSET', base, 'recent_oldest', second)
  end
end
