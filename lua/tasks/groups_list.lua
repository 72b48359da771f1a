--[[ groups_list: a page of the groups in one state.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  the state, one of include/group_states.lua
  ARGV[3]  where to go on, from the reply with the page before; '' to begin
  ARGV[4]  how many groups to check at most

  Returns  {where to go on, '' at the end; for each group: its name and a row, as include/group_row.lua says}
  Refuses  NOT_FOUND, INVALID
  Cost     O(groups * log groups)
]]
--- @include "clock"
--- @include "project"
--- @include "group_row"
--- @include "group_states"

local base, state, after, limit = KEYS[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local now = clock(ARGV[1])
local parts = group_states(now)[state]

if not project(base) then
  return redis.error_reply('NOT_FOUND No such project')
end
local part, score, last_group = string.match(after, '^([1-3]) (%-?[%d.]+e?%+?%d*) (.+)$')
if after ~= '' and not tonumber(score) then
  return redis.error_reply('INVALID after: not what the page before answered as `next`')
end

-- Whether a text comes before another by bytes, as the server sorts. Lua's `<` depends on the server's locale.
local function is_before(one, other)
  for i = 1, math.min(#one, #other) do
    local a, b = string.byte(one, i), string.byte(other, i)
    if a ~= b then
      return a < b
    end
  end
  return #one < #other
end

-- How many entries of a set come before this one or are this one; it may have left the set meanwhile.
local function count_up_to(key, score_of, group)
  local low, high = redis.call('ZCOUNT', key, '-inf', '(' .. score_of), redis.call('ZCOUNT', key, '-inf', score_of)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_before(group, redis.call('ZRANGE', key, middle, middle)[1]) then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end

local groups, rows, looked, onward = open_groups(base, now), {}, 0, ''

local function add(set, name)
  local row = group_row(groups, name)
  -- A group with a ticket in both sets is listed once. It is not ready if its rest is over but a block lasts.
  local is_twice = set == ':ready_voted' and redis.call('ZSCORE', base .. ':ready', name)
  if not is_twice and not (state == 'ready' and row[7] > 0) then
    rows[#rows + 1] = name
    rows[#rows + 1] = row
  end
end

-- page_of(n, set, lowest, highest): adds the groups of the n-th part, up to the limit.
local function page_of(n, set, lowest, highest)
  local key = base .. set
  local first = redis.call('ZCARD', key) - redis.call('ZCOUNT', key, lowest, '+inf')
  local stop = redis.call('ZCOUNT', key, '-inf', highest)
  if n == tonumber(part) then
    first = math.max(first, count_up_to(key, score, last_group))
  end
  local count = math.min(stop - first, limit - looked)
  local found = count > 0 and redis.call('ZRANGE', key, first, first + count - 1, 'WITHSCORES') or {}
  for i = 1, #found, 2 do
    add(set, found[i])
  end
  looked = looked + #found / 2
  if count > 0 and looked == limit then
    onward = string.format('%d %s %s', n, found[#found], found[#found - 1])
  end
end

for n = tonumber(part or 1), #parts do
  if looked < limit then
    page_of(n, unpack(parts[n]))
  end
end
return { onward, unpack(rows) }
