-- not_before(text, now): until when a new task with this text is delayed (unix ms), nil if it is not; and the text
-- without its delay.
local function not_before(text, now)
  local sign, ms, rest = string.match(text, '^([+=])(%d+) (.*)$')
  local at = sign and tonumber(ms) + (sign == '+' and now or 0)
  return at and at > now and at or nil, rest or text
end
