-- not_before(text, now): when the new task of this text may be had, unix ms, nil for at once; and the text without
-- that.
local function not_before(text, now)
  local sign, ms, rest = string.match(text, '^([+=])(%d+) (.*)$')
  local at = sign and tonumber(ms) + (sign == '+' and now or 0)
  return at and at > now and at or nil, rest or text
end
