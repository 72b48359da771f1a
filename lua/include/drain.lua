-- begin_drain(base, operation): notes a maintenance call in `:drains`. Returns the base of the keys that it takes over.
local function begin_drain(base, operation)
  local n = string.format('%d', redis.call('HINCRBY', base, 'drain', 1))
  redis.call('HSET', base .. ':drains', n, operation)
  return base .. ':drain:' .. n
end
