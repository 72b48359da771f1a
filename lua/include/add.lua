--- @include "ids"
--- @include "remembered"

local NAMES = { 'recipe', 'priority', 'max_retries', 'max_assign_time', 'verification_count', 'hash' }
local DEFAULTS = { false, '0', '0', '0', '1', '' }

-- add(base, tasks, remember, now): makes tasks of {recipe, priority, max_retries, max_assign_time, verification_count,
-- hash}, and answers an id for each, or false for a duplicate. Its first write is SADD or INCRBY, which the server
-- refuses when memory is full: then nothing was written. Few writes a task: each one goes to the append-only file.
local function add(base, tasks, remember, now)
  local hashes = {}
  for _, task in ipairs(tasks) do
    if task[6] ~= '' then
      hashes[#hashes + 1] = task[6]
    end
  end

  local taken, fresh = {}, {}
  if #hashes > 0 then
    local live = redis.call('SMISMEMBER', base .. ':hashes', unpack(hashes))
    local closed = remember ~= 0 and redis.call('ZMSCORE', base .. ':remembered', unpack(hashes)) or {}
    local forgotten = tonumber(forgotten_before(remember, now))
    for i, hash in ipairs(hashes) do
      taken[hash] = live[i] == 1 or (closed[i] and tonumber(closed[i]) > forgotten) or false
    end
  end

  local ids, count = {}, 0
  for i, task in ipairs(tasks) do
    local hash = task[6]
    ids[i] = hash == '' or not taken[hash]
    if ids[i] then
      count = count + 1
      if hash ~= '' then
        taken[hash] = true
        fresh[#fresh + 1] = hash
      end
    end
  end
  if count == 0 then
    return ids, 0
  end

  if #fresh > 0 then
    redis.call('SADD', base .. ':hashes', unpack(fresh))
  end
  local n = redis.call('INCRBY', base .. ':seq', count) - count
  local created, entries = string.format('%.0f', math.floor(now / 1000)), {}
  for i, task in ipairs(tasks) do
    if ids[i] then
      n = n + 1
      local id = task_id(base, n)
      local fields = { 'created', created }
      for f, name in ipairs(NAMES) do
        if task[f] ~= DEFAULTS[f] then
          fields[#fields + 1] = name
          fields[#fields + 1] = task[f]
        end
      end
      redis.call('HSET', base .. ':task:' .. id, unpack(fields))
      entries[#entries + 1] = score_of(task[2], n)
      entries[#entries + 1] = id
      ids[i] = id
    end
  end
  redis.call('ZADD', base .. ':queue', unpack(entries))
  return ids, count
end
