-- Votes of a task: `:votes:<task>` is a hash, worker to the verification that it voted for; `:tally:<task>` is a hash,
-- verification to how many workers voted for it. `:voted` is the set of live tasks that have a vote and have not
-- failed.

-- add_vote(base, task, worker, verification): how many workers agree on this verification now; nil if the worker has
-- voted before: its first vote counts.
local function add_vote(base, task, worker, verification)
  if redis.call('HSETNX', base .. ':votes:' .. task, worker, verification) == 0 then
    return nil
  end
  redis.call('SADD', base .. ':voted', task)
  return redis.call('HINCRBY', base .. ':tally:' .. task, verification, 1)
end

-- holds_votes(base, task, fields): whether the task has votes. `fields` are those of its record.
local function holds_votes(base, task, fields)
  return fields.verification_count > 1 and redis.call('EXISTS', base .. ':votes:' .. task) == 1
end

-- delete_votes(base, tasks): deletes the votes of up to 500 tasks.
local function delete_votes(base, tasks)
  local keys = {}
  for i, task in ipairs(tasks) do
    keys[2 * i - 1], keys[2 * i] = base .. ':votes:' .. task, base .. ':tally:' .. task
  end
  redis.call('DEL', unpack(keys))
  redis.call('SREM', base .. ':voted', unpack(tasks))
end
