-- project(base, ...): {revision, the fields asked for} of the copy that this slot holds, or nil: no such project.
local function project(base, ...)
  local fields = redis.call('HMGET', base, 'revision', ...)
  return fields[1] and fields or nil
end
