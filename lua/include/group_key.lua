-- group_key(base, state, gen, group): where those tasks of a group are that wait without votes ('queue') or with
-- ('verifying'). `gen` is the project's field `group_gen`, or that of a drain.
local function group_key(base, state, gen, group)
  return string.format('%s:%s:%s:%s', base, state == 'queue' and 'wait' or 'verify', gen or '0', group)
end
