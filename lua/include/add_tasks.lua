--- @include "ids"
--- @include "hashes"

-- too_many(seq, count): a refusal if there are no ids for `count` more tasks, else nil.
local function too_many(seq, count)
  return seq + count > LAST_ENTRY and 'TOO_LARGE project: it has no ids left for new tasks; use another project' or nil
end

-- add_records(base, first, ids, records): stores the records of new tasks; `first` is the number of the first task.
local function add_records(base, first, ids, records)
  local i, count = 1, #ids
  while i <= count do
    local bucket, values = math.floor((first + i - 1) / 32), {}
    repeat
      local n, record = first + i - 1, records[i]
      if #record > 1024 then
        local first_line, recipe = string.match(record, '^([^\n]*)\n(.*)$')
        redis.call('SET', base .. ':recipe:' .. ids[i], recipe)
        record = first_line
      end
      values[#values + 1], values[#values + 2], i = string.format('%d', n), record, i + 1
    until i > count or (first + i - 1) % 32 == 0
    redis.call('HSET', string.format('%s:tasks:%d', base, bucket), unpack(values))
  end
end

-- take_hash(known, past, hash): adds the hash of a new task. False for a duplicate: the hash of a live task, or a
-- remembered one that still counts. `past` is what the project remembers, nil for nothing.
local function take_hash(known, past, hash)
  local number, closed, second = number_of(known.salt, hash), nil, nil
  if past then
    closed = past.closed and redis.call('SISMEMBER', bucket_for(past.closed, number), hash) == 1
    second = past.recent and redis.call('HGET', bucket_for(past.recent, number), hash)
    if closed and past.closed_counts or second and tonumber(second) > past.after then
      return false
    end
  end
  if add_hash(known, hash, number) == 0 then
    return false
  end
  -- It was remembered, but no longer counts, and was not trimmed yet.
  if closed or second then
    --- @include "free_hash"
    if closed then
      free_hash(past.closed, hash, number)
    end
    if second then
      free_hash(past.recent, hash, number)
    end
  end
  return true
end

local FIRST_LINE = '^(%-?%d*) ?(%-?%d*)[ %d]*@?([^\t\n]*)'

-- add_tasks(base, texts, from, step, new): adds tasks. Their texts, as in include/task.lua, are at `from` and at each
-- `step` after it. `new` has the project's `seq`, `place`, `remember_closed`, `known_hashes`, `awaited`, and the time:
-- `now`, unix ms, and `created`, unix s; `new.apart[i]` is true for tasks that the caller puts elsewhere. Returns a
-- list with the id of each, false for a duplicate; how many were added; and for how many of them a worker can be woken.
-- If any were added, the caller writes `new.seq` and `new.place`. The first write is one that the server refuses when
-- memory is full: then nothing was written. It writes little for each task: all of it goes to the append-only file.
local function add_tasks(base, texts, from, step, new)
  local remember, known, past = new.remember_closed or '0', nil, nil
  local suffix, ids, added, records, entries = suffix_of(base), {}, {}, {}, {}
  local count, seq, place, created = 0, new.seq, new.place, new.created .. ' '
  local names, lists, apart, delayed = nil, nil, new.apart, nil
  for i = from, #texts, step do
    local text, id, ready_at = texts[i], false, nil
    local hash, priority, group = string.match(text, FIRST_LINE)
    if group ~= '' and string.find(text, '^[+=]') then
      --- @include "not_before"
      ready_at, text = not_before(text, new.now)
      hash, priority, group = string.match(text, FIRST_LINE)
    end
    if hash ~= '' and not known then
      known = family_of(base, 'known', new.known_hashes)
      if remember ~= '0' then
        --- @include "remembered"
        past = remembered(base, new.now, remember)
      end
    end
    if hash == '' or take_hash(known, past, hash) then
      count = count + 1
      id = string.format('%d', seq + count) .. suffix
      added[count], records[count] = id, created .. text
      local score, list = score_of(tonumber(priority) or 0, math.min(place + count, LAST_PLACE)), entries
      if apart and apart[i] then
        list = nil
      elseif ready_at then
        delayed, list = delayed or {}, nil
        delayed[#delayed + 1], delayed[#delayed + 2] = ready_at, id
      elseif group ~= '' then
        names, lists = names or {}, lists or {}
        list = lists[group] or { best = score }
        names[#names + 1] = not lists[group] and group or nil
        lists[group], list.best = list, math.min(list.best, score)
      end
      if list then
        list[#list + 1], list[#list + 2] = score, id
      end
    end
    ids[#ids + 1] = id
  end
  if count > 0 then
    add_records(base, seq + 1, added, records)
    if #entries > 0 then
      redis.call('ZADD', base .. ':queue', unpack(entries))
    end
    if delayed then
      --- @include "delay_tasks"
      delay_tasks(base, new.now, new.awaited, delayed)
    end
    if known then
      write_family(base, known)
    end
    if past and past.closed then
      write_family(base, past.closed)
    end
    if past and past.recent then
      write_family(base, past.recent)
    end
  end
  new.seq, new.place = seq + count, place + count
  local startable = #entries / 2
  if names then
    --- @include "submit_groups"
    startable = startable + submit_groups(base, new.now, names, lists)
  end
  return ids, count, startable
end
