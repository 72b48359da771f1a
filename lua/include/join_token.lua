-- join_token(text): {id, may, uses, expires (unix ms)} of a join token as it is stored, or nil; uses is '-' for any
-- number of them.
local function join_token(text)
  local id, may, uses, expires = string.match(text or '', '^(%d+) (%S+) (%S+) (%d+)$')
  return id and { id = id, may = may, uses = uses, expires = tonumber(expires) }
end
