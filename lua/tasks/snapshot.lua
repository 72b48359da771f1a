--[[ snapshot: note how many tasks are in each state now, unless that was done a moment ago.

  One that says the same as the one before is not stored: that stands for it.

  Any number of processes may try: all but one are told that the last one is too young. When the clock was set back,
  snapshots of times that are still to come are dropped, and at most 500 others are moved in a call.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  ms since the last one at least
  ARGV[3]  ms to keep them

  Returns  1 when one was made, 0 when the last one is too young, -1 when some were moved: call again
  Refuses  NOT_FOUND
  Cost     O(snapshots that are too old or moved)
]]
--- @include "clock"
--- @include "project"

local base, guard = KEYS[1], KEYS[2]
local now, interval, keep = clock(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local key = base .. ':snapshots'

local fields = project(base, 'group_waiting', 'group_verifying', 'closed', 'listed', 'epoch', 'snapshot_at',
  'submitted', 'chained', 'failed', 'reclaimed')
if not fields then
  return redis.error_reply('NOT_FOUND No such project')
end

local newest = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
local last = newest and tonumber(string.match(newest[1], '^%d+'))
local moving = redis.call('EXISTS', key .. ':old') == 1
-- A correction of a second drops nothing.
local set_back = last and last > now + 1000
local noted = tonumber(fields[7])
noted = noted and noted <= now + 1000 and noted or last
if not moving and not set_back and noted and now - noted < interval then
  return 0
end

redis.call('DEL', guard)
-- A stream takes no id before the last that it had: what stays moves to a new one.
if set_back and not moving then
  redis.call('RENAME', key, key .. ':old')
end
if set_back or moving then
  local stay = redis.call('XRANGE', key .. ':old', '-', string.format('%.0f', now), 'COUNT', 500)
  for _, snapshot in ipairs(stay) do
    redis.call('XADD', key, snapshot[1], unpack(snapshot[2]))
    redis.call('XDEL', key .. ':old', snapshot[1])
  end
  if #stay < 500 then
    redis.call('DEL', key .. ':old')
  end
  return -1
end
local awaiting = redis.call('SCARD', base .. ':voted')
local waiting = redis.call('ZCARD', base .. ':queue') + (fields[2] or 0)
local assigned = redis.call('ZCARD', base .. ':assigned')
local unfinished = waiting + redis.call('ZCARD', base .. ':verifying') + redis.call('ZCARD', base .. ':delayed')
  + assigned + (fields[3] or 0)
local failed = redis.call('ZCARD', base .. ':failed')
-- What maintenance has taken and not put back yet is counted as what it was.
local drains = redis.call('HGETALL', base .. ':drains')
for i = 1, #drains, 2 do
  local drain = base .. ':drain:' .. drains[i]
  if drains[i + 1] == 'reclaim_assigned' then
    unfinished = unfinished + redis.call('ZCARD', drain .. ':assigned')
  elseif drains[i + 1] == 'reset_failed' then
    failed = failed + redis.call('ZCARD', drain .. ':failed')
  end
end
local counts = { 'new', unfinished - awaiting, 'failed', failed, 'closed', tonumber(fields[4] or 0), 'access',
  redis.call('HLEN', base .. ':access'), 'awaiting', awaiting, 'waiting', waiting, 'assigned', assigned, 'submitted',
  (fields[8] or 0) + (fields[9] or 0), 'fails', tonumber(fields[10] or 0), 'reclaimed', tonumber(fields[11] or 0) }
local is_same = newest ~= nil
for n, value in ipairs(counts) do
  is_same = is_same and newest[2][n] == tostring(value)
end
-- The last one until the epoch changes: until tasks are submitted, or delayed ones come.
local settled = fields[5] ~= '1' and assigned == 0
redis.call('HSET', base, 'snapshot_at', string.format('%.0f', now), 'settled', settled and (fields[6] or '0') or '')
if is_same then
  return 1
end
redis.call('XADD', key, string.format('%.0f-0', now), unpack(counts))
redis.call('XTRIM', key, 'MINID', string.format('%.0f-0', math.max(0, now - keep)))
return 1
