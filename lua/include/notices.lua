-- The fields behind the events of a project with a `notify_url`. `notify_mark` is `<place> <seq>` when the project was
-- last finished: one of them has grown if tasks have come since. `notify_failed_from` is the total of failed tasks at
-- the last event `failing`. `notify_stall` is `<total of assigned tasks> <since (unix ms)> <1 if the event was noted>`
-- while tasks wait. `:notices` has the events that are to be sent, `:notices-at` when.
local NOTIFY_FIELDS = { 'notify_url', 'notify_failed', 'notify_stalled', 'notify_mark', 'notify_failed_from',
  'notify_stall', 'place', 'seq', 'failed', 'assigned', 'group_waiting', 'group_verifying' }

-- read_notify(base): those fields by name, and how many tasks are `waiting`, and `unfinished` in all; nil: the project
-- has no `notify_url`.
local function read_notify(base)
  local found, state = redis.call('HMGET', base, unpack(NOTIFY_FIELDS)), {}
  for i, name in ipairs(NOTIFY_FIELDS) do
    state[name] = found[i] or '0'
  end
  if not found[1] or found[1] == '' then
    return nil
  end
  state.mark = state.place .. ' ' .. state.seq
  state.waiting = redis.call('ZCARD', base .. ':queue') + redis.call('ZCARD', base .. ':verifying')
    + state.group_waiting + state.group_verifying
  state.unfinished = state.waiting + redis.call('ZCARD', base .. ':delayed') + redis.call('ZCARD', base .. ':assigned')
  return state
end

-- due_events(base, now, state): which events have happened (`finished`, `failing`, `stalled`); the new `notify_stall`,
-- false to delete it, nil to leave it; and when to check again (unix ms), nil: only after a change.
local function due_events(base, now, state)
  local events = {}
  if state.unfinished == 0 and state.mark ~= state.notify_mark and redis.call('EXISTS', base .. ':drains') == 0 then
    events[#events + 1] = 'finished'
  end
  local most_failed = tonumber(state.notify_failed)
  if most_failed > 0 and state.failed - state.notify_failed_from >= most_failed then
    events[#events + 1] = 'failing'
  end
  local ms = tonumber(state.notify_stalled) * 1000
  local assigned, since, told = string.match(state.notify_stall, '^(%d+) (%d+) ([01])$')
  if ms == 0 or state.waiting == 0 then
    local stall = nil
    if since then
      stall = false
    end
    return events, stall
  end
  -- If the clock is earlier, it was set back.
  if assigned ~= state.assigned or now < tonumber(since) - 1000 then
    return events, string.format('%s %.0f 0', state.assigned, now), now + ms
  elseif told == '0' and now >= since + ms then
    events[#events + 1] = 'stalled'
    return events, string.format('%s %s 1', assigned, since)
  end
  return events, nil, told == '0' and since + ms or nil
end
