--- @include "delete_tasks"
--- @include "groups"

-- drain_groups(base, now, drain, limit): deletes up to `limit` tasks that waited in groups when a drain began; an entry
-- of a group that is worked off counts as one. How long a group rests stays known. Answers how many.
local function drain_groups(base, now, drain, limit)
  local gen, done = redis.call('GET', drain .. ':gen') or '', 0

  local function delete_some(key)
    local tasks = done < limit and redis.call('ZRANGE', key, 0, limit - done - 1) or {}
    if #tasks > 0 then
      redis.call('ZREMRANGEBYRANK', key, 0, #tasks - 1)
      delete_tasks(base, tasks)
      done = done + #tasks
    end
  end

  for _, set in ipairs({ ':due', ':ready', ':ready_voted' }) do
    local entries = redis.call('ZRANGE', drain .. set, 0, math.max(0, limit - done - 1), 'WITHSCORES')
    for i = 1, #entries, 2 do
      local group, score = entries[i], tonumber(entries[i + 1])
      local wait, verify = group_key(base, 'queue', gen, group), group_key(base, 'verifying', gen, group)
      delete_some(wait)
      delete_some(verify)
      if done < limit and redis.call('EXISTS', wait, verify) == 0 then
        redis.call('ZREM', drain .. set, group)
        done = done + 1
        if set == ':due' and score > now and score < FULL and not redis.call('ZSCORE', base .. ':due', group) then
          redis.call('ZADD', base .. ':resting', 'GT', score, group)
        end
      end
    end
  end
  return done
end
