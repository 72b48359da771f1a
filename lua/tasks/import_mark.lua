--[[ import_mark: the number up to which a source was imported into a project.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  the source, or 'access'

  Returns  the number; 0 if nothing was imported, or there is no such project yet
  Refuses  NOT_FOUND
  Cost     O(1)
]]
local base = KEYS[1]

if redis.call('HEXISTS', base, 'deleted') == 1 then
  return redis.error_reply('NOT_FOUND id: a project with this id was deleted here less than a day ago')
end
return tonumber(redis.call('HGET', base .. ':imported', ARGV[1]) or 0)
