--- @include "role"
--- @include "makes_circle"

-- project_refusal(base, manager, id, before, wanted): why these changes of a project are refused, or nil. `wanted` has
-- the fields that change. For a new project `id` is '' and `before` is empty.
local function project_refusal(base, manager, id, before, wanted)
  local function after(name)
    return wanted[name] or before[name] or '0'
  end

  if after('public') == '1' and before.public ~= '1' and not is_admin(base, manager) then
    return 'DENIED public: only an admin may make a project public'
  end
  if (wanted.name or before.name or '') == '' then
    return 'INVALID name: required, must not be empty'
  end
  local owner = wanted.name and redis.call('HGET', base .. ':names', wanted.name)
  if owner and owner ~= id then
    return 'DUPLICATE name: another project has this name'
  end
  if after('public') == '1' and after('hidden') == '1' then
    return 'INVALID public: a hidden project cannot be public'
  end

  local chain = wanted.chain
  if not chain or chain == '0' or chain == before.chain then
    return nil
  end
  if redis.call('EXISTS', base .. ':project:' .. chain) == 0 then
    return 'INVALID chain: no such project'
  end
  if not has_bit(roles_of(base, manager, chain), EDIT) then
    return 'DENIED chain: needs the EDIT role on the project that tasks go on to'
  end
  return makes_circle(base, id, chain) and 'INVALID chain: chains must not form a circle' or nil
end
