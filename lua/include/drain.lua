-- begin_drain(base, operation): notes a maintenance call in `:drains`; the base of what it takes out of reach.
local function begin_drain(base, operation)
  local n = string.format('%d', redis.call('HINCRBY', base, 'drain', 1))
  redis.call('HSET', base .. ':drains', n, operation)
  return base .. ':drain:' .. n
end
