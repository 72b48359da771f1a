--[[ attention_list: the projects that need attention, of those that a manager may see, the worst first.

  The kinds, the worst first: stalled (tasks wait, and none was assigned for a time), failing (many tasks fail),
  requests (workers request access, and the manager may accept them), blocked (half of the groups are blocked). The
  counts are some seconds old.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  manager id
  ARGV[2]  now, unix ms; '' outside tests
  ARGV[3]  ms after which a project stalls
  ARGV[4]  how many to return
  ARGV[5]  how many of each kind to check, 1,000 or fewer
  ARGV[6+] ids of projects, 1,000 or fewer

  Returns  {how many there are; '1' if there may be more than were checked; those of the projects in ARGV[6+] that need
           attention for another reason than requests; for each {kind, project, name, role bits, three numbers}}. The
           numbers, 0 if there is none: stalled: since when (unix ms), waiting; failing: failed, closed, since (unix
           ms); requests: how many; blocked: blocked groups, groups
  Refuses  nothing
  Cost     O(projects checked or given + projects with requests that the manager may accept)
]]
--- @include "clock"
--- @include "role"

local base, manager = KEYS[1], ARGV[1]
local stalled_until, most, looks = clock(ARGV[2]) - ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local admin = is_admin(base, manager)
local total, more, rows = 0, '', {}

local function counts_of(project, ...)
  local counts = redis.call('HMGET', base .. ':counts:' .. project, ...)
  for i, count in ipairs(counts) do
    counts[i] = tonumber(count) or count or 0
  end
  return unpack(counts)
end

-- The three numbers of each kind.
local function stalled(project, since)
  local waiting, verifying = counts_of(project, 'now_waiting', 'now_verifying')
  return since, waiting + verifying, 0
end

local function failing(project, failed)
  local closed, window = counts_of(project, 'closed', 'window')
  local since, closed_before = string.match(window, '^(%d+) %d+ (%d+)')
  return failed, closed - (closed_before or 0), tonumber(since or 0)
end

local function requests(_, count)
  return count, 0, 0
end

local function blocked(project, count)
  local ready, resting, full = counts_of(project, 'now_groups_ready', 'now_groups_resting', 'now_groups_full')
  return count, ready + resting + full, 0
end

local function add(kind, numbers, project, score)
  local name, hidden = unpack(redis.call('HMGET', base .. ':project:' .. project, 'name', 'hidden'))
  local bits = admin and ALL_ROLES or roles_of(base, manager, project)
  if name and (hidden ~= '1' or has_bit(bits, READ)) then
    total = total + 1
    if #rows < most then
      rows[#rows + 1] = { kind, tonumber(project), name, bits, numbers(project, tonumber(score)) }
    end
  end
end

-- Those of one kind: pairs of project and score.
local function add_all(kind, numbers, found)
  if #found == 2 * looks then
    more = '1'
  end
  for i = 1, #found, 2 do
    add(kind, numbers, found[i], found[i + 1])
  end
end

-- Of projects whose requests the manager may accept, the most first.
local function own_requests()
  local own, sorted, some = redis.call('HGETALL', base .. ':manager:' .. manager .. ':requests'), {}, {}
  for i = 1, #own, 2 do
    sorted[#sorted + 1] = { own[i], tonumber(own[i + 1]) }
  end
  table.sort(sorted, function(one, other)
    return one[2] > other[2]
  end)
  for i = 1, math.min(#sorted, looks) do
    some[2 * i - 1], some[2 * i] = sorted[i][1], sorted[i][2]
  end
  return some
end

add_all('stalled', stalled, redis.call('ZRANGE', base .. ':stalled', '-inf', string.format('%.0f', stalled_until),
  'BYSCORE', 'LIMIT', 0, looks, 'WITHSCORES'))
add_all('failing', failing, redis.call('ZRANGE', base .. ':failing', 0, looks - 1, 'REV', 'WITHSCORES'))
add_all('requests', requests, not admin and own_requests()
  or redis.call('ZRANGE', base .. ':requests', 0, looks - 1, 'REV', 'WITHSCORES'))
add_all('blocked', blocked, redis.call('ZRANGE', base .. ':blocked', 0, looks - 1, 'REV', 'WITHSCORES'))

local among = {}
for i = 6, #ARGV do
  local since = tonumber(redis.call('ZSCORE', base .. ':stalled', ARGV[i]) or stalled_until + 1)
  if since <= stalled_until or redis.call('ZSCORE', base .. ':failing', ARGV[i])
    or redis.call('ZSCORE', base .. ':blocked', ARGV[i]) then
    among[#among + 1] = tonumber(ARGV[i])
  end
end
return { total, more, among, unpack(rows) }
