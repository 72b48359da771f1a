--[[ project_update: a manager changes fields of a project; the other fields keep their values.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  manager id; '' for the broker itself (a webhook), which needs no role
  ARGV[2]  project id
  ARGV[3]  git_repo in lower case, '' if it does not change
  ARGV[4+] pairs: field, value

  Returns  1
  Refuses  NOT_FOUND, DENIED, DUPLICATE, INVALID
  Cost     O(length of the chain)
]]
--- @include "project_refusal"
--- @include "configure"

local base, guard, manager, id, repo = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3]
local wanted = pairs_from(ARGV, 4)

local before = pairs_from(redis.call('HGETALL', base .. ':project:' .. id), 1)
if not before.revision then
  return redis.error_reply('NOT_FOUND No such project')
end
if manager ~= '' and not has_bit(roles_of(base, manager, id), EDIT) then
  return redis.error_reply('DENIED Needs the EDIT role on the project')
end
local refusal = project_refusal(base, manager, id, before, wanted)
if refusal then
  return redis.error_reply(refusal)
end

redis.call('DEL', guard)
configure(base, id, before, wanted, wanted.git_repo and repo)
return 1
