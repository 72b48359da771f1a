--- @include "put_back"
--- @include "set_counts"

-- retry(base, now, tasks): failed tasks, which the caller has taken out of `:failed`, wait again as if they had never
-- failed. They keep their votes, unless they failed because these did not agree. Returns what put_back returns.
local function retry(base, now, tasks)
  return put_back(base, now, tasks, nil, function(_, task, record, fields)
    local by = string.match(redis.call('HGET', base .. ':errors', task) or '', '^%d+')
    if by == '0' then
      redis.call('DEL', base .. ':votes:' .. task, base .. ':tally:' .. task)
    elseif fields.verification_count > 1 and redis.call('EXISTS', base .. ':votes:' .. task) == 1 then
      redis.call('SADD', base .. ':voted', task)
    end
    redis.call('HDEL', base .. ':errors', task)
    if fields.retries + fields.reclaims > 0 then
      fields.retries, fields.reclaims = 0, 0
      set_counts(base, task, record, fields)
    end
  end)
end
