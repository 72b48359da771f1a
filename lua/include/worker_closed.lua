-- add_closed(base, worker, closed): raises a worker's total of closed tasks in all projects. A new total begins with
-- what the worker had closed in the original tracker. A deleted worker gets none.
local function add_closed(base, worker, closed)
  local key = base .. ':worker-closed'
  if not redis.call('ZSCORE', key, worker) then
    local alias, closed_before = unpack(redis.call('HMGET', base .. ':worker:' .. worker, 'alias', 'closed_before'))
    if not alias then
      return
    end
    closed = closed + (closed_before or 0)
  end
  redis.call('ZINCRBY', key, closed, worker)
end
