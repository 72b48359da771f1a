-- project(base, ...): {revision, these fields} of the project's copy in this slot; nil: there is no such project.
local function project(base, ...)
  local fields = redis.call('HMGET', base, 'revision', ...)
  return fields[1] and fields or nil
end
