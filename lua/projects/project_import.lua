--[[ project_import: import a project of the original tracker, with its id. Nobody has a role on it.

  A project that was imported before is left as it is, also if it was deleted here since. Its chain is only noted:
  project_chain sets it when all projects are imported.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  project id
  ARGV[2]  the highest id of the whole import: new projects get ids above it
  ARGV[3]  the project to which it is chained, '0' for none
  ARGV[4]  git_repo in lower case, '' for none
  ARGV[5]  name
  ARGV[6+] pairs: field, value; every other field of a project except its revision

  Returns  1 imported, 0 imported before, -1 imported before and deleted since
  Refuses  DUPLICATE
  Cost     O(1)
]]
--- @include "configure"

local base, id, chain, repo, name = KEYS[1], ARGV[1], ARGV[3], ARGV[4], ARGV[5]
local wanted = pairs_from(ARGV, 6)
local there = redis.call('EXISTS', base .. ':project:' .. id) == 1

if redis.call('HGET', base .. ':imported', id) == name then
  return there and 0 or -1
end
if there then
  return redis.error_reply('DUPLICATE id: another project has it')
end
if redis.call('HEXISTS', base .. ':names', name) == 1 then
  return redis.error_reply('DUPLICATE name: another project has it; rename that one, and run the import again')
end

if tonumber(redis.call('GET', base .. ':next-project') or 0) < tonumber(ARGV[2]) then
  redis.call('SET', base .. ':next-project', ARGV[2])
end
wanted.name, wanted.chain = name, '0'
if chain ~= '0' then
  wanted.imported_chain = chain
end
configure(base, id, {}, wanted, repo)
redis.call('HSET', base .. ':imported', id, name)
return 1
