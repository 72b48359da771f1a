--- @include "read_record"
--- @include "tickets"
--- @include "requeue"
--- @include "drop_orphans"

-- put_back(base, now, tasks, members, change): as requeue, for up to 500 tasks whose records the caller has not read.
-- `members`: their members of `:assigned`, nil for tasks that were not held. `change(i, task, record, fields)`, if
-- given, is called first; a task for which it returns true does not wait. Tasks without a record are dropped. The third
-- result is how many were not dropped.
local function put_back(base, now, tasks, members, change)
  local there, all_fields, orphans, names, grouped = {}, {}, {}, {}, false
  for i, record in ipairs((records_of(base, tasks))) do
    local task, fields = tasks[i], read_record(record)
    names[i] = fields and fields.group
    grouped = grouped or names[i] ~= ''
    if not fields then
      orphans[#orphans + 1] = task
    elseif not (change and change(i, task, record, fields)) then
      there[#there + 1] = task
      all_fields[#there] = fields
    end
  end
  local free = 0
  if members and grouped then
    --- @include "free_groups"
    free = free_groups(base, now, members, names)
  end
  if members and #tasks > 0 then
    redis.call('HDEL', base .. ':holders', unpack(tasks))
  end
  drop_orphans(base, orphans)
  local fresh, voted = requeue(base, now, there, all_fields)
  return fresh + free, voted, #tasks - #orphans
end
