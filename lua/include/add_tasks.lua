--- @include "ids"
--- @include "expired_before"
--- @include "task"

-- too_many(seq, count): the refusal of `count` more tasks when not all of them would get an id that can be released, or
-- nil.
local function too_many(seq, count)
  return seq + count > LAST_ENTRY and 'TOO_LARGE project: it has no ids left for new tasks; use another project' or nil
end

-- add_hashes(base, hashes, remember, now): adds the hashes that are free to `:hashes`; the answer is a table with true
-- for each of them.
local function add_hashes(base, hashes, remember, now)
  if #hashes == 1 and remember == 0 then
    return { [hashes[1]] = redis.call('SADD', base .. ':hashes', hashes[1]) == 1 }
  end
  local free, fresh = {}, {}
  if #hashes > 0 then
    local live = redis.call('SMISMEMBER', base .. ':hashes', unpack(hashes))
    local closed = remember ~= 0 and redis.call('ZMSCORE', base .. ':remembered', unpack(hashes)) or {}
    local expired = tonumber(expired_before(remember, now))
    for i, hash in ipairs(hashes) do
      if live[i] == 0 and not free[hash] and not (closed[i] and tonumber(closed[i]) > expired) then
        free[hash] = true
        fresh[#fresh + 1] = hash
      end
    end
  end
  if #fresh > 0 then
    redis.call('SADD', base .. ':hashes', unpack(fresh))
  end
  return free
end

-- add_tasks(base, list, first, step, seq, remember, now, created): adds the tasks of a list. At `first` and each `step`
-- after it begin the fields of one. Answers an id for each, false for a duplicate, and how many were added; the caller
-- raises `seq` by that. Its first write is one that the server refuses when memory is full: then nothing was written.
-- Few writes a task: each goes to the append-only file.
local function add_tasks(base, list, first, step, seq, remember, now, created)
  local hashes, count = {}, 0
  for i = first + HASH - 1, #list, step do
    if list[i] ~= '' then
      hashes[#hashes + 1] = list[i]
    end
  end
  local free = add_hashes(base, hashes, remember, now)

  local suffix, ids, entries, n = suffix_of(base), {}, {}, 0
  for i = first, #list, step do
    local hash = list[i + HASH - 1]
    n = n + 1
    ids[n] = false
    if hash == '' or free[hash] then
      -- The same hash once more in this call is a duplicate.
      free[hash] = nil
      count = count + 1
      local id = string.format('%d', seq + count) .. suffix
      ids[n] = id
      local fields, f = { 'created', created, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil }, 2
      for k, name in ipairs(FIELDS) do
        if list[i + k - 1] ~= DEFAULTS[k] then
          fields[f + 1], fields[f + 2], f = name, list[i + k - 1], f + 2
        end
      end
      redis.call('HSET', base .. ':task:' .. id, unpack(fields, 1, f))
      entries[2 * count - 1], entries[2 * count] = score_of(list[i + PRIORITY - 1], seq + count), id
    end
  end
  if count > 0 then
    redis.call('ZADD', base .. ':queue', unpack(entries))
  end
  return ids, count
end
