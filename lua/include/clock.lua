-- clock(given): now in unix milliseconds, in microseconds, and in seconds as text. `given`: unix ms in tests, else ''.
local function clock(given)
  if given ~= '' then
    return tonumber(given), tonumber(given) * 1000, string.format('%d', given / 1000)
  end
  local time = redis.call('TIME')
  local us = time[1] * 1000000 + time[2]
  return math.floor(us / 1000), us, time[1]
end
