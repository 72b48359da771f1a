-- enlist(base, listed): tasks of the project can be assigned now. Returns the epoch for active_note, or 0 if the
-- directory knows that already, as the field `listed` says.
local function enlist(base, listed)
  if listed == '1' then
    return 0
  end
  redis.call('HSET', base, 'listed', '1')
  return redis.call('HINCRBY', base, 'epoch', 1)
end
