-- may_get(base, worker, public): whether a worker may get tasks of a project: anybody may of a public one, and what was
-- granted, submit alone too, lets one get tasks of others.
local function may_get(base, worker, public)
  return public == '1' or redis.call('HEXISTS', base .. ':access', worker) == 1
end
