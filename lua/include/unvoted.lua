--- @include "ids"

-- unvoted(base, worker): gives the tasks of `verifying` that this worker has not voted on, best first, one a call.
--
-- `seen` holds, by priority, the score up to which the worker has voted on everything: the scan jumps there, or a lone
-- worker would walk its own votes at every call. It is exact because whatever enters `verifying` takes a larger place.
local function unvoted(base, worker)
  local seen_key = base .. ':seen:' .. worker
  local from, steps = '-inf', 0
  return function()
    while steps < 1000 do
      steps = steps + 1
      local found = redis.call('ZRANGE', base .. ':verifying', from, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
      local task, score = found[1], found[2]
      if not task then
        return nil
      end
      local priority = priority_of(score)
      local seen = redis.call('HGET', seen_key, priority)
      if seen and tonumber(score) <= tonumber(seen) then
        from = '(' .. seen
      elseif redis.call('HEXISTS', base .. ':task:' .. task .. ':verifiers', worker) == 1 then
        redis.call('HSET', seen_key, priority, score)
        redis.call('EXPIRE', seen_key, 86400)
        from = '(' .. score
      else
        from = '(' .. score
        return task, score
      end
    end
  end
end
