-- Role bits of a manager on a project.
local READ, EDIT, MANAGE_ACCESS, SECRET, MAINTENANCE = 1, 2, 4, 8, 16
local ALL_ROLES = READ + EDIT + MANAGE_ACCESS + SECRET + MAINTENANCE

local function is_admin(base, manager)
  return redis.call('HGET', base .. ':manager:' .. manager, 'tracker_admin') == '1'
end

-- roles_of(...): the bits of a manager; an admin has all. The manager '' has none.
local function roles_of(base, manager, project)
  if is_admin(base, manager) then
    return ALL_ROLES
  end
  return tonumber(redis.call('HGET', base .. ':roles:' .. project, manager) or 0)
end

local function has_bit(bits, bit)
  return math.floor(bits / bit) % 2 == 1
end
