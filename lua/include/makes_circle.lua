-- makes_circle(base, id, chain): whether tasks of project `id` would come back to it if its chain were `chain`. Longer
-- chains than 1,000 projects count as circles.
local function makes_circle(base, id, chain)
  local next_one, hops = chain, 0
  while next_one and next_one ~= '0' do
    hops = hops + 1
    if next_one == id or hops > 1000 then
      return true
    end
    next_one = redis.call('HGET', base .. ':project:' .. next_one, 'chain')
  end
  return false
end
