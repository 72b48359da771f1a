-- has_seen_all(base, worker, voted_place): whether the worker has voted on all waiting tasks with votes, by the mark
-- `*` of include/unvoted.lua. `voted_place` is the project's, 0 for none.
local function has_seen_all(base, worker, voted_place)
  return voted_place > 0 and tonumber(redis.call('HGET', base .. ':seen:' .. worker, '*') or 0) >= voted_place
end
