--- @include "clock"

-- close(base, task, hash, chain, remember, given_now): what is left of a task that closes: it goes to the outbox of the
-- chained project, in the step that closes it, and its hash is remembered where the project remembers. The caller
-- deletes the task and takes the hash off `:hashes`: of many tasks at once where it can.
local function close(base, task, hash, chain, remember, given_now)
  if chain ~= '0' then
    local row = redis.call('HMGET', base .. ':task:' .. task, 'recipe', 'priority', 'max_retries', 'max_assign_time',
      'verification_count')
    redis.call('XADD', base .. ':outbox', '*', 'target', chain, 'recipe', row[1], 'priority', row[2] or '0',
      'max_retries', row[3] or '0', 'max_assign_time', row[4] or '0', 'verification_count', row[5] or '1',
      'hash', hash or '')
  end
  if hash and remember ~= '0' then
    redis.call('ZADD', base .. ':remembered', clock(given_now), hash)
  end
end
