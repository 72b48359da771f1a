--- @include "by_name"

-- configure(base, id, before, wanted, repo): writes fields that `project_refusal` has checked, and raises the revision.
-- `repo` is the git_repo in lower case, nil if it does not change.
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
      redis.call('ZREM', base .. ':by-name', name_entry(before.name, id))
    end
    redis.call('ZADD', base .. ':by-name', 0, name_entry(wanted.name, id))
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

-- pairs_from(list, first): a table of the name and value pairs from `first` on.
local function pairs_from(list, first)
  local fields = {}
  for i = first, #list, 2 do
    fields[list[i]] = list[i + 1]
  end
  return fields
end
