--[[ notices_take: note the events that have happened in a project, and take those that must be sent now.

  At most 100 events wait to be sent. An event for which there is no room is noted later, if it still applies. An event
  that was taken and not reported to `notice_tried` is taken again.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  now, unix ms; '' outside tests
  ARGV[2]  how many to take at most
  ARGV[3]  ms after which one is taken again
  ARGV[4]  ms after which one is given up
  ARGV[5+] names of the totals that are sent with events

  Returns  for each {id, event, when it happened (unix s), how often it was tried (-1: it was given up), counts as text:
           names and numbers}
  Refuses  nothing
  Cost     O(totals + taken * log notices)
]]
--- @include "clock"
--- @include "notices"

local base, guard, most, lease, keep = KEYS[1], KEYS[2], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local now = clock(ARGV[1])

local MOST_NOTICES = 100

local state = read_notify(base)
if not state then
  return {}
end
redis.call('DEL', guard)

local function numbers()
  local names, found = { unpack(ARGV, 5) }, {}
  for i, total in ipairs(redis.call('HMGET', base, unpack(names))) do
    found[#found + 1] = total and names[i] .. ' ' .. total or nil
  end
  return string.format('waiting %d verifying %d delayed %d assigned %d failed %d ',
    redis.call('ZCARD', base .. ':queue') + state.group_waiting,
    redis.call('ZCARD', base .. ':verifying') + state.group_verifying,
    redis.call('ZCARD', base .. ':delayed'), redis.call('ZCARD', base .. ':assigned'),
    redis.call('ZCARD', base .. ':failed')) .. table.concat(found, ' ')
end

local function note(event)
  if event == 'finished' then
    redis.call('HSET', base, 'notify_mark', state.mark)
  elseif event == 'failing' then
    redis.call('HSET', base, 'notify_failed_from', state.failed)
  end
  local n = redis.call('HINCRBY', base, 'last_notice', 1)
  local id = string.format('%s-%d-%.0f', string.match(base, ':(%d+)}$'), n, now)
  redis.call('HSET', base .. ':notices', id, string.format('%s %.0f 0 %s', event, now, numbers()))
  redis.call('ZADD', base .. ':notices-at', now, id)
end

local events, stall = due_events(base, now, state)
if redis.call('HLEN', base .. ':notices') + #events <= MOST_NOTICES then
  for _, event in ipairs(events) do
    note(event)
  end
  if stall then
    redis.call('HSET', base, 'notify_stall', stall)
  elseif stall == false then
    redis.call('HDEL', base, 'notify_stall')
  end
end

local taken = {}
for _, id in ipairs(redis.call('ZRANGE', base .. ':notices-at', '-inf', now, 'BYSCORE', 'LIMIT', 0, most)) do
  local event, at, tries, pairs_of = string.match(redis.call('HGET', base .. ':notices', id) or '',
    '^(%a+) (%d+) (%d+) (.*)$')
  if not event or now >= tonumber(at) + keep then
    redis.call('ZREM', base .. ':notices-at', id)
    redis.call('HDEL', base .. ':notices', id)
    tries = -1
  else
    redis.call('ZADD', base .. ':notices-at', now + lease, id)
  end
  if event then
    taken[#taken + 1] = { id, event, math.floor(at / 1000), tonumber(tries), pairs_of }
  end
end
return taken
