-- Known hashes, in three families of buckets. `:known:<gen>:<k>` are sets: hashes of live tasks. When a task closes,
-- its hash moves to `:closed:<gen>:<k>`, sets, where the project remembers for ever, or to `:recent:<gen>:<k>`, hashes
-- (the hash to the unix second of its closing), where it remembers for a time. Sets of few integers take 8 bytes for
-- each. A project that remembers nothing has only the first.
--
-- Each family grows by linear hashing: when its buckets have more than so many hashes on average, the next bucket in
-- turn is split into 4, one of `recent` into 2. The project's field `<family>_hashes` is `<gen> <level> <split>
-- <salt>`; all families of a project have the same salt. lua/README.md says how a bucket is found. `<family>_sample`
-- counts only hashes whose number is below SAMPLED, one in 16: so 15 of 16 calls need not write it.
local SAMPLED = 2 ^ 27

-- family_of(base, name, text, salt): `text` is its field, nil if it has no hashes yet; then its salt is `salt`, or that
-- of another family. There are `level` buckets, of which the first `split` were split. After changes the caller must
-- call write_family.
local function family_of(base, name, text, salt)
  local gen, level, split, own_salt = string.match(text or '', '^(%d+) (%d+) (%d+) (%d+)$')
  if not gen then
    -- The buckets of an emptied family belong to a maintenance call: this number was not used for buckets before.
    gen, level, split = redis.call('HGET', base, 'drain') or '0', 1, 0
  end
  if not (own_salt or salt) then
    local texts = redis.call('HMGET', base, 'known_hashes', 'closed_hashes', 'recent_hashes')
    salt = string.match(texts[1] or texts[2] or texts[3] or '', '%d+$')
  end
  if not (own_salt or salt) then
    -- Random, or somebody could make up hashes that all go to one bucket.
    local time = redis.call('TIME')
    salt = 2 ^ 23 + 1 + 2 * ((time[1] * 1000000 + time[2]) % 500009)
  end
  return { name = name, prefix = base .. ':' .. name .. ':' .. gen .. ':', is_new = not text, added = false,
    level = tonumber(level), split = tonumber(split), salt = tonumber(own_salt or salt), sampled = 0,
    ways = name == 'recent' and 2 or 4 }
end

-- number_of(salt, hash): a number below 2^31, from which its bucket follows. All products stay below 2^53. Somebody
-- with redis-cli may have added what is no number.
local function number_of(salt, hash)
  local low, high = tonumber(string.sub(hash, -8)) or 0, tonumber(string.sub(hash, 1, -9)) or 0
  return (low * salt + high) % 2147483647 * (1048577 + 2 * (salt * 7919 % 524287)) % 2147483647
end

-- bucket_for(family, number): the key of its bucket.
local function bucket_for(family, number)
  local k = number % family.level
  return family.prefix .. (k < family.split and number % (family.ways * family.level) or k)
end

-- write_family(base, family): writes what has changed, and splits buckets of a family that has grown, at most 8 buckets
-- and about 4,000 hashes a call. Call it only after a write that the server refuses when memory is full: splitting
-- needs memory.
local function write_family(base, family)
  if family.sampled == 0 and not (family.is_new and family.added) then
    return
  end
  local name, timed, splits, moved = family.name, family.name == 'recent', 0, 0
  local sample = family.sampled ~= 0 and redis.call('HINCRBY', base, name .. '_sample', family.sampled) or 0

  local function add(key, list)
    for i = 1, #list, 1000 do
      local some = { unpack(list, i, math.min(i + 999, #list)) }
      if timed then
        redis.call('HSET', key, unpack(some))
      else
        redis.call('SADD', key, unpack(some))
      end
    end
  end

  -- An unsplit bucket has up to `ways` times as many: with that number, every usual configuration still stores a set as
  -- integers and a hash as a list.
  local per_bucket, ways, step = timed and 48 or 110, family.ways, timed and 2 or 1
  while family.sampled > 0 and 16 * sample > per_bucket * (family.level + (ways - 1) * family.split) and splits < 8
    and moved < 4000 do
    local from, lists = family.prefix .. family.split, {}
    local found = timed and redis.call('HGETALL', from) or redis.call('SMEMBERS', from)
    family.split = family.split + 1
    for i = 1, #found, step do
      local key = bucket_for(family, number_of(family.salt, found[i]))
      local list = lists[key] or {}
      lists[key] = list
      for k = i, i + step - 1 do
        list[#list + 1] = found[k]
      end
    end
    -- A set that loses members may keep its memory.
    redis.call('DEL', from)
    for key, list in pairs(lists) do
      add(key, list)
    end
    if family.split == family.level then
      family.level, family.split = ways * family.level, 0
    end
    splits, moved = splits + 1, moved + #found / step
  end
  if family.is_new or splits > 0 then
    local gen = string.match(family.prefix, '(%d+):$')
    redis.call('HSET', base, name .. '_hashes', string.format('%s %d %d %d', gen, family.level, family.split,
      family.salt))
  end
end

-- add_hash(family, hash, number, second): `second` for `recent` only. Returns 1, or 0 if the family had it.
local function add_hash(family, hash, number, second)
  local key = bucket_for(family, number)
  local added = second and redis.call('HSET', key, hash, second) or not second and redis.call('SADD', key, hash)
  if number < SAMPLED then
    family.sampled = family.sampled + added
  end
  family.added = true
  return added
end
