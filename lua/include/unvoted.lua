--- @include "priority_of"

-- unvoted(base, worker): gives the tasks of `verifying` that this worker has not voted on, best first, one a call.
--
-- `seen` holds, by priority, the score up to which the worker has voted on everything: the scan jumps there, or a lone
-- worker would walk its own votes at every call. It is exact because whatever enters `verifying` takes a larger place.
-- Those that share the last place say nothing of each other: they are looked at one by one.
local function unvoted(base, worker)
  local key = base .. ':seen:' .. worker
  local from, skipped, steps = '-inf', 0, 0
  return function()
    while steps < 1000 do
      steps = steps + 1
      local found = redis.call('ZRANGE', base .. ':verifying', from, '+inf', 'BYSCORE', 'LIMIT', skipped, 1,
        'WITHSCORES')
      local task, score = found[1], found[2]
      if not task then
        return nil
      end
      local priority = priority_of(score)
      local voted_up_to = redis.call('HGET', key, priority)
      if voted_up_to and tonumber(score) <= tonumber(voted_up_to) then
        from, skipped = '(' .. voted_up_to, 0
      else
        local voted = redis.call('HEXISTS', base .. ':votes:' .. task, worker) == 1
        if tonumber(score) == score_of(priority, LAST_PLACE) then
          from, skipped = score, from == score and skipped + 1 or 1
        else
          from, skipped = '(' .. score, 0
          if voted then
            redis.call('HSET', key, priority, score)
            redis.call('EXPIRE', key, 86400)
          end
        end
        if not voted then
          return task, score
        end
      end
    end
  end
end
