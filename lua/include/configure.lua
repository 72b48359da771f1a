--- @include "role"

-- checked(base, manager, id, before, wanted): the refusal that the wanted fields of a project meet, or nil. `id` is ''
-- and `before` empty for a new project; `wanted` has the fields that are to change.
local function checked(base, manager, id, before, wanted)
  local function after(name)
    return wanted[name] or before[name] or '0'
  end

  local owner = wanted.name and redis.call('HGET', base .. ':names', wanted.name)
  if owner and owner ~= id then
    return 'DUPLICATE name: another project has this name'
  end
  if after('public') == '1' and after('hidden') == '1' then
    return 'INVALID public: a hidden project cannot be public'
  end
  if after('public') == '1' and before.public ~= '1' and not is_admin(base, manager) then
    return 'DENIED public: only an admin may make a project public'
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
  local next_one, hops = chain, 0
  while next_one and next_one ~= '0' do
    hops = hops + 1
    if next_one == id or hops > 1000 then
      return 'INVALID chain: tasks would go in a circle'
    end
    next_one = redis.call('HGET', base .. ':project:' .. next_one, 'chain')
  end
  return nil
end

-- configure(base, id, before, wanted, repo): writes what `checked` let through, and raises the revision. `repo` is the
-- git_repo in lower case, or nil when it does not change.
local function configure(base, id, before, wanted, repo)
  local key, pairs_of = base .. ':project:' .. id, {}
  for name, value in pairs(wanted) do
    pairs_of[#pairs_of + 1] = name
    pairs_of[#pairs_of + 1] = value
  end
  redis.call('HSET', key, 'revision', tonumber(before.revision or 0) + 1, unpack(pairs_of))
  redis.call('SADD', base .. ':unpushed', id)
  if wanted.priority then
    redis.call('ZADD', base .. ':projects', wanted.priority, id)
  end
  if wanted.name and wanted.name ~= before.name then
    if before.name then
      redis.call('HDEL', base .. ':names', before.name)
    end
    redis.call('HSET', base .. ':names', wanted.name, id)
  end
  if repo then
    if before.repo and before.repo ~= '' then
      redis.call('SREM', base .. ':repos:' .. before.repo, id)
    end
    redis.call('HSET', key, 'repo', repo)
    if repo ~= '' then
      redis.call('SADD', base .. ':repos:' .. repo, id)
    end
  end
end

-- pairs_from(list, first): a table of the pairs that begin at `first`.
local function pairs_from(list, first)
  local fields = {}
  for i = first, #list, 2 do
    fields[list[i]] = list[i + 1]
  end
  return fields
end
