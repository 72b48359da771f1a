--- @include "delete_tasks"
--- @include "groups"

-- drain_groups(base, now, drain, limit): deletes up to `limit` tasks that waited in groups when a drain began; an entry
-- of a group that is worked off counts as one. How long a group rests stays known. Answers how many.
local function drain_groups(base, now, drain, limit)
  local gen, done, tasks = redis.call('GET', drain .. ':gen') or '', 0, {}

  -- Whether nothing is left in this set of a group.
  local function take_all(key)
    local room = limit - done
    local found = room > 0 and redis.call('ZRANGE', key, 0, room - 1) or {}
    if #found > 0 then
      redis.call('ZREMRANGEBYRANK', key, 0, #found - 1)
      done = done + #found
      for _, task in ipairs(found) do
        tasks[#tasks + 1] = task
      end
    end
    return #found < room
  end

  for _, set in ipairs({ ':due', ':ready', ':ready_voted' }) do
    local entries = redis.call('ZRANGE', drain .. set, 0, math.max(0, limit - done - 1), 'WITHSCORES')
    local ended = {}
    for i = 1, #entries, 2 do
      local group, score = entries[i], tonumber(entries[i + 1])
      if take_all(group_key(base, 'queue', gen, group)) and take_all(group_key(base, 'verifying', gen, group)) then
        ended[#ended + 1] = group
        done = done + 1
        if set == ':due' and score > now and score < FULL and not redis.call('ZSCORE', base .. ':due', group) then
          redis.call('ZADD', base .. ':resting', 'GT', score, group)
        end
      end
    end
    if #ended > 0 then
      redis.call('ZREM', drain .. set, unpack(ended))
    end
  end
  delete_tasks(base, tasks)
  return done
end
