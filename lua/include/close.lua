--- @include "forget"

-- close(base, task, chain, remember, now): deletes a task with its votes, frees or remembers its hash, and hands it to
-- the chained project's outbox in the same step. Counting is the caller's.
local function close(base, task, chain, remember, now)
  local fields = redis.call('HMGET', base .. ':task:' .. task, 'hash', 'recipe', 'priority', 'max_retries',
    'max_assign_time', 'verification_count')
  local hash = fields[1]

  forget(base, task)
  if hash then
    redis.call('SREM', base .. ':hashes', hash)
    if remember ~= 0 then
      redis.call('ZADD', base .. ':remembered', now, hash)
    end
  end
  if chain ~= '0' then
    redis.call('XADD', base .. ':outbox', '*', 'target', chain, 'recipe', fields[2], 'priority', fields[3] or '0',
      'max_retries', fields[4] or '0', 'max_assign_time', fields[5] or '0', 'verification_count', fields[6] or '1',
      'hash', hash or '')
  end
end
