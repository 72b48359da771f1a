--- @include "put_back"

-- retry(base, now, tasks): failed tasks, taken out of `failed`, wait again, as if they had never failed. Their votes
-- stand. Answers as put_back.
local function retry(base, now, tasks)
  for _, task in ipairs(tasks) do
    if redis.call('EXISTS', base .. ':votes:' .. task) == 1 then
      redis.call('SADD', base .. ':voted', task)
    end
  end
  return put_back(base, now, tasks)
end
