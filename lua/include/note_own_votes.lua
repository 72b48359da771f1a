-- note_own_votes(base, worker, before): call it if the worker has voted on all tasks that took a place since
-- `voted_place` was `before`. If it had voted on all tasks up to there, it still has.
local function note_own_votes(base, worker, before)
  local seen, place = base .. ':seen:' .. worker, redis.call('HGET', base, 'voted_place')
  if place and (redis.call('HGET', seen, '*') or '0') == (before or '0') then
    redis.call('HSET', seen, '*', place)
    redis.call('EXPIRE', seen, 86400)
  end
end
