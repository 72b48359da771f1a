--- @include "clock"
--- @include "task"

-- close(base, task, hash, chain, remember, given_now): what is left of a task that closes: it goes to the outbox of the
-- chained project, in the step that closes it, and its hash is remembered where the project remembers. The caller
-- deletes the task and takes the hash off `:hashes`: of many tasks at once where it can.
local function close(base, task, hash, chain, remember, given_now)
  if chain ~= '0' then
    local values = redis.call('HMGET', base .. ':task:' .. task, unpack(FIELDS))
    local entry = { 'target', chain, 'task', task }
    for i, name in ipairs(FIELDS) do
      entry[#entry + 1] = name
      entry[#entry + 1] = values[i] or DEFAULTS[i]
    end
    redis.call('XADD', base .. ':outbox', '*', unpack(entry))
  end
  if hash and remember ~= '0' then
    redis.call('ZADD', base .. ':remembered', clock(given_now), hash)
  end
end
