--[[ project_create: a manager creates a project, and gets every role on it.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  manager id
  ARGV[2]  git_repo in lower case, '' for none
  ARGV[3]  how many projects a manager who is no admin may have, 0 for any number
  ARGV[4]  address that asks
  ARGV[5]  how many projects an address may create a minute, 0 for no limit
  ARGV[6]  now, unix ms; '' outside tests
  ARGV[7+] pairs: field, value; every field of a project except its revision and its creator

  Returns  the new project's id
  Refuses  DUPLICATE, INVALID, DENIED, LIMIT_REACHED, RATE_LIMITED
  Cost     O(length of the chain)
]]
--- @include "project_refusal"
--- @include "configure"
--- @include "clock"
--- @include "address"

local base, manager, repo, most = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local address, limit = ARGV[4], ARGV[5]
local _, now_us = clock(ARGV[6])
local wanted = pairs_from(ARGV, 7)
local account = base .. ':manager:' .. manager

local refusal = project_refusal(base, manager, '', {}, wanted)
if refusal then
  return redis.error_reply(refusal)
end
if tonumber(redis.call('GET', base .. ':next-project') or 0) >= 99999 then
  return redis.error_reply('INVALID No more projects can be created: 99999 exist or existed')
end
if most > 0 and tonumber(redis.call('HGET', account, 'projects') or 0) >= most and not is_admin(base, manager) then
  return redis.error_reply('LIMIT_REACHED A manager may have ' .. most .. ' projects: delete one, or ask an admin')
end
local wait = address_wait(base, 'project', address, limit, now_us)
if wait > 0 then
  return redis.error_reply(string.format('RATE_LIMITED %.0f Too many projects created from this address', wait))
end

local id = string.format('%.0f', redis.call('INCR', base .. ':next-project'))
wanted.creator = manager
configure(base, id, {}, wanted, repo)
redis.call('HINCRBY', account, 'projects', 1)
address_charge(base, 'project', address, limit, now_us)
redis.call('HSET', base .. ':roles:' .. id, manager, ALL_ROLES)
return tonumber(id)
