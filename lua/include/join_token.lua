-- join_token(text): {id, may, uses, expires (unix ms)} of a stored join token, or nil; uses is '-' for no limit.
local function join_token(text)
  local id, may, uses, expires = string.match(text or '', '^(%d+) (%S+) (%S+) (%d+)$')
  return id and { id = id, may = may, uses = uses, expires = tonumber(expires) }
end
