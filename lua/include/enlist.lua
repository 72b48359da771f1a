-- enlist(base, listed): tasks of the project may be had now. Unless the directory was told that already, as the field
-- `listed` says, answers the epoch to tell it with (active_note); else 0.
local function enlist(base, listed)
  if listed == '1' then
    return 0
  end
  redis.call('HSET', base, 'listed', '1')
  return redis.call('HINCRBY', base, 'epoch', 1)
end
