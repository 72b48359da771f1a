--[[ project_create: a manager makes a project, and gets every role on it.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  manager id
  ARGV[2]  git_repo in lower case, '' for none
  ARGV[3+] pairs: field, value; every field of a project but its revision

  Returns  the new project's id
  Refuses  DUPLICATE, INVALID, DENIED
  Cost     O(length of the chain)
]]
--- @include "allowed"
--- @include "configure"

local base, manager, repo = KEYS[1], ARGV[1], ARGV[2]
local wanted = pairs_from(ARGV, 3)

local refusal = checked(base, manager, '', {}, wanted)
if refusal then
  return redis.error_reply(refusal)
end
if tonumber(redis.call('GET', base .. ':next-project') or 0) >= 99999 then
  return redis.error_reply('INVALID No further project fits: 99999 were made')
end

local id = string.format('%.0f', redis.call('INCR', base .. ':next-project'))
configure(base, id, {}, wanted, repo)
redis.call('HSET', base .. ':roles:' .. id, manager, ALL_ROLES)
return tonumber(id)
