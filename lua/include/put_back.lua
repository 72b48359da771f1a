--- @include "read_record"
--- @include "requeue"
--- @include "drop_orphans"
--- @include "set_retries"

-- put_back(base, tasks, again): as requeue, for up to 500 tasks whose records the caller has not read; those that have
-- lost theirs are dropped. `again`: no retry of them counts from here on.
local function put_back(base, tasks, again)
  local there, all_fields, orphans = {}, {}, {}
  for i, record in ipairs((records_of(base, tasks))) do
    local fields = read_record(record)
    if fields then
      there[#there + 1] = tasks[i]
      all_fields[#there] = fields
      if again and fields.retries > 0 then
        set_retries(base, tasks[i], record, fields, 0)
      end
    else
      orphans[#orphans + 1] = tasks[i]
    end
  end
  drop_orphans(base, orphans)
  return requeue(base, there, all_fields)
end
