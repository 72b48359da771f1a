-- has_seen_all(base, worker, voted_place): whether the mark `*` of include/unvoted.lua says that this worker has voted
-- on all that waits with votes. `voted_place` is the project's, 0 when none is noted.
local function has_seen_all(base, worker, voted_place)
  return voted_place > 0 and tonumber(redis.call('HGET', base .. ':seen:' .. worker, '*') or 0) >= voted_place
end
