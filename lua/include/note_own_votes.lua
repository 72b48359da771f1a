-- note_own_votes(base, worker, before): all that took a place since `voted_place` was `before` holds a vote of this
-- worker. If it had seen all up to there, it still has.
local function note_own_votes(base, worker, before)
  local seen, place = base .. ':seen:' .. worker, redis.call('HGET', base, 'voted_place')
  if place and (redis.call('HGET', seen, '*') or '0') == (before or '0') then
    redis.call('HSET', seen, '*', place)
    redis.call('EXPIRE', seen, 86400)
  end
end
