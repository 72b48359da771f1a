-- note_attention(base, project, now, paused, counts, before): notes whether a project needs attention, by its `counts`
-- now (nil: it was deleted) and those `before`. `:stalled` has since when no task was assigned although some wait,
-- `:failing` how many tasks have failed since the `window` in `:counts` and are still failed, `:blocked` how many
-- groups are blocked, `:attention` the worst of these.
local function note_attention(base, project, now, paused, counts, before)
  local MOST_FAILED, HOUR = 10, 3600000
  local ranks = { ':blocked', ':requests', ':failing', ':stalled' }

  local function count(name)
    return counts[name] or 0
  end

  local function groups()
    return count('now_groups_ready') + count('now_groups_resting') + count('now_groups_full')
  end

  -- Since when, or nil.
  local function stalled()
    -- A project is not stalled if all its groups with waiting tasks rest or are full.
    local may_start = count('now_groups_ready') > 0 or groups() == 0
    if paused or count('now_waiting') + count('now_verifying') == 0 or count('now_assigned') > 0 or not may_start then
      return nil
    end
    local since = tonumber(redis.call('ZSCORE', base .. ':stalled', project) or now)
    -- If the clock is earlier, it was set back.
    return count('assigned') == (before.assigned or 0) and math.min(since, now) or now
  end

  -- The totals of failed and closed tasks, one to two hours ago: the text has two such times, an hour apart.
  local function window()
    local key = base .. ':counts:' .. project
    local mark = string.format('%.0f %.0f %.0f', now, before.failed or 0, before.closed or 0)
    local earlier, later = string.match(redis.call('HGET', key, 'window') or '', '^(%d+ %d+ %d+) (%d+ %d+ %d+)$')
    local age = later and now - string.match(later, '^%d+')
    if not age or age < 0 or age >= HOUR then
      earlier, later = age and age >= HOUR and age < 2 * HOUR and later or mark, mark
      redis.call('HSET', key, 'window', earlier .. ' ' .. later)
    end
    return string.match(earlier, '^%d+ (%d+) (%d+)$')
  end

  -- How many, or nil.
  local function failing()
    local failed_before, closed_before = window()
    local failed = math.min(count('failed') - failed_before, count('now_failed'))
    return failed >= MOST_FAILED and 4 * failed >= count('closed') - closed_before and failed or nil
  end

  -- How many, or nil.
  local function blocked()
    local some = count('now_groups_blocked')
    return some > 0 and 2 * some >= groups() and some or nil
  end

  local scores = {}
  if counts then
    scores[':stalled'], scores[':failing'], scores[':blocked'] = stalled(), failing(), blocked()
    scores[':requests'] = count('now_requests') > 0 and count('now_requests') or nil
  end
  local worst
  for rank, name in ipairs(ranks) do
    if scores[name] then
      redis.call('ZADD', base .. name, string.format('%.0f', scores[name]), project)
      worst = rank
    else
      redis.call('ZREM', base .. name, project)
    end
  end
  if worst then
    redis.call('ZADD', base .. ':attention', worst, project)
  else
    redis.call('ZREM', base .. ':attention', project)
  end
end
