--[[ due: what there is to do in a project, and what active_note should note about it in the directory.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  ms between two snapshots

  Returns  {1 if tasks must be reclaimed; 1 if the outbox has entries; 1 if remembered hashes must be trimmed; 1 if
           maintenance has tasks to process; 1 if groups or delayed tasks must be checked; 1 if a snapshot is due; 1 if
           events must be noted or sent; 1 if tasks can be assigned: some wait or are overdue, and the project is not
           paused; the epoch; ms until the project must be checked next; ms until the next group may start a task or the
           next delayed task waits, -1 for never}, each 0 otherwise
  Refuses  nothing
  Cost     O(log assigned)
]]
--- @include "clock"
--- @include "first_due"
--- @include "is_due"
--- @include "project"
--- @include "remembered"

local base, guard = KEYS[1], KEYS[2]
local now, interval = clock(ARGV[1]), tonumber(ARGV[2])
-- ms between two checks of held tasks: they are reclaimed within 2 s of their deadline.
local SOON = 1500

local fields = project(base, 'paused', 'remember_closed', 'limits_walk', 'listed', 'epoch', 'snapshot_at', 'settled',
  'notify_url')
if not fields then
  return { 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, -1 }
end
local paused, remember, limits_walk, listed, epoch, snapshot_at, settled, notify_url = unpack(fields, 2, 9)

local next = math.huge
local function at(time)
  next = math.min(next, tonumber(time or next))
end

-- Whether hashes that no longer count must be removed now; if not, it notes when.
local function expires()
  if not remember or remember == '0' then
    return false
  end
  local past = remembered(base, now, remember)
  if past.trim_at then
    at(past.trim_at * 1000)
  end
  return past.trim
end

-- Whether events must be noted or sent now; if not, it notes when.
local function notifies()
  if not notify_url or notify_url == '' then
    return false
  end
  --- @include "notices"
  local events, stall, later = due_events(base, now, read_notify(base))
  at(later)
  at(redis.call('ZRANGE', base .. ':notices-at', 0, 0, 'WITHSCORES')[2])
  return #events > 0 or stall ~= nil or is_due(base .. ':notices-at', now)
end

local overdue = is_due(base .. ':assigned', now)
local came = is_due(base .. ':due', now) or is_due(base .. ':delayed', now)
local startable = overdue or came or redis.call('EXISTS', base .. ':queue', base .. ':verifying', base .. ':ready',
  base .. ':ready_voted') > 0
local outbox = redis.call('XLEN', base .. ':outbox') > 0
local drains = redis.call('EXISTS', base .. ':drains') == 1
local expired = expires()
local notify = notifies()
local wait = first_due(base, now)
local starts = wait >= 0 and now + wait or nil
local busy = startable or redis.call('EXISTS', base .. ':assigned') == 1
local since = now - tonumber(snapshot_at or 0)
local snapshot = since >= interval or since < -1000
if busy or outbox or drains or expired or limits_walk or notify then
  at(now + SOON)
else
  at(starts)
  local rests = redis.call('ZRANGE', base .. ':resting', 0, 0, 'WITHSCORES')[2]
  if rests then
    at(math.max(now + SOON, tonumber(rests)))
  end
  if settled ~= (epoch or '0') then
    -- For a last snapshot: it stands for all later ones until something changes.
    at(now + math.max(0, interval - since))
  end
end

if startable ~= (listed == '1') then
  redis.call('DEL', guard)
  redis.call('HSET', base, 'listed', startable and '1' or '0')
  epoch = redis.call('HINCRBY', base, 'epoch', 1)
end
return {
  overdue and 1 or 0,
  outbox and 1 or 0,
  expired and 1 or 0,
  drains and 1 or 0,
  (came or is_due(base .. ':resting', now) or limits_walk) and 1 or 0,
  snapshot and 1 or 0,
  notify and 1 or 0,
  startable and paused ~= '1' and 1 or 0,
  tonumber(epoch or 0),
  next < math.huge and math.max(0, math.ceil(next - now)) or -1,
  paused ~= '1' and wait or -1,
}
