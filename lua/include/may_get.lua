-- may_get(base, worker, public): whether a worker may get tasks of a project: of a public one all workers may, of
-- others each worker with access, also with submit alone.
local function may_get(base, worker, public)
  return public == '1' or redis.call('HEXISTS', base .. ':access', worker) == 1
end
