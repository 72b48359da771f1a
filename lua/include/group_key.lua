-- group_key(base, state, gen, group): the key of a group's waiting tasks without votes ('queue') or with votes
-- ('verifying'). `gen` is the project's field `group_gen`, or that of a maintenance call.
local function group_key(base, state, gen, group)
  return string.format('%s:%s:%s:%s', base, state == 'queue' and 'wait' or 'verify', gen or '0', group)
end
