-- delete_task(base, task): deletes a task's hash, votes and tallies, and counts it as awaiting no longer.
local function delete_task(base, task)
  local key = base .. ':task:' .. task
  local votes = redis.call('HVALS', key .. ':verifiers')
  for _, vote in ipairs(votes) do
    redis.call('DEL', key .. ':tally:' .. vote)
  end
  if #votes > 0 then
    redis.call('SREM', base .. ':voted', task)
  end
  redis.call('DEL', key, key .. ':verifiers')
end
