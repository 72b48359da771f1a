--- @include "put_back"

-- retry(base, tasks): failed tasks, taken out of `failed`, wait again, as if they had never failed. Their votes stand.
-- Answers as requeue.
local function retry(base, tasks)
  for _, task in ipairs(tasks) do
    if redis.call('EXISTS', base .. ':votes:' .. task) == 1 then
      redis.call('SADD', base .. ':voted', task)
    end
  end
  return put_back(base, tasks, true)
end
