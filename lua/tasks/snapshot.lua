--[[ snapshot: store how many tasks are in each state now, unless the last snapshot is too young.

  A snapshot that equals the one before is not stored: that one stands for it. Any number of processes may try at once,
  and one of them succeeds. After the clock was set back, snapshots with times in the future are dropped, and at most
  500 others are moved in a call.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  ms between two snapshots, at least
  ARGV[3]  ms for which snapshots are kept

  Returns  1 if it was taken, 0 if the last one is too young, -1 if some were moved: call again
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
-- A stream accepts no id before its last one, so the snapshots that stay move to a new stream.
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
-- Tasks that maintenance has taken and not put back yet count in their former state.
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
-- No further snapshot is needed until the epoch changes: until tasks are submitted, or delayed ones wait.
local settled = fields[5] ~= '1' and assigned == 0
redis.call('HSET', base, 'snapshot_at', string.format('%.0f', now), 'settled', settled and (fields[6] or '0') or '')
if is_same then
  return 1
end
redis.call('XADD', key, string.format('%.0f-0', now), unpack(counts))
redis.call('XTRIM', key, 'MINID', string.format('%.0f-0', math.max(0, now - keep)))
return 1
