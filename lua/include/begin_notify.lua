--- @include "notices"

-- begin_notify(base, url): starts the events of a project anew after its `notify_url` (before: `url`), `notify_failed`
-- or `notify_stalled` has changed: what happened earlier causes no event.
local function begin_notify(base, url)
  local state = read_notify(base)
  if state then
    if (url or '') == '' then
      redis.call('HSET', base, 'notify_mark', state.unfinished == 0 and state.mark or '')
    end
    redis.call('HSET', base, 'notify_failed_from', state.failed)
  else
    redis.call('HDEL', base, 'notify_mark', 'notify_failed_from')
    redis.call('DEL', base .. ':notices', base .. ':notices-at')
  end
  redis.call('HDEL', base, 'notify_stall')
end
