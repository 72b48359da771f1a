--- @include "free_hash"

-- move_hash(known, closed, hash, number): adds it to `closed`, whether or not `known` had it.
local function move_hash(known, closed, hash, number)
  if redis.call('SMOVE', bucket_for(known, number), bucket_for(closed, number), hash) == 0 then
    add_hash(closed, hash, number)
  elseif number < SAMPLED then
    known.sampled, closed.sampled = known.sampled - 1, closed.sampled + 1
  end
  closed.added = true
end

-- close_hashes(base, list, remember, known_text, now): the tasks with these hashes have closed: remembers the hashes as
-- the project says. `remember` and `known_text` are its fields `remember_closed` and `known_hashes`.
local function close_hashes(base, list, remember, known_text, now)
  if #list == 0 then
    return
  end
  local known, name = family_of(base, 'known', known_text), remember == '-1' and 'closed' or 'recent'
  local family, second
  if remember and remember ~= '0' then
    local text = redis.call('HGET', base, name .. '_hashes') or nil
    family, second = family_of(base, name, text, known.salt), math.ceil(now / 1000)
  end
  for _, hash in ipairs(list) do
    local number = number_of(known.salt, hash)
    if family and name == 'closed' then
      move_hash(known, family, hash, number)
    else
      free_hash(known, hash, number)
    end
    if family and name == 'recent' then
      add_hash(family, hash, number, second)
    end
  end
  write_family(base, known)
  if family then
    write_family(base, family)
  end
  if family and name == 'recent' and second < (tonumber(redis.call('HGET', base, 'recent_oldest')) or math.huge) then
    redis.call('HSET', base, 'recent_oldest', second)
  end
end
