--- @include "delete_tasks"
--- @include "drop_orphans"
--- @include "free_hash"
--- @include "records"

-- remove_tasks(base, tasks): deletes up to 500 tasks that the caller has taken out of their sets; their hashes are free
-- at once. Tasks without a record are dropped, and their hashes stay taken.
local function remove_tasks(base, tasks)
  local known, removed, orphans = nil, {}, {}
  for i, record in ipairs((records_of(base, tasks))) do
    local created, hash = parse_record(record)
    local list = created and removed or orphans
    list[#list + 1] = tasks[i]
    if created and hash ~= '' then
      known = known or family_of(base, 'known', redis.call('HGET', base, 'known_hashes'))
      free_hash(known, hash, number_of(known.salt, hash))
    end
  end
  if known then
    write_family(base, known)
  end
  drop_orphans(base, orphans)
  delete_tasks(base, removed)
  if #removed > 0 then
    redis.call('HINCRBY', base, 'removed', #removed)
  end
end
