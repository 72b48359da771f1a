-- The totals of a project since it began, fields of its hash. `TOTALS` in broker/store/totals.py is the same list.
local TOTALS = { 'submitted', 'chained', 'imported', 'duplicates', 'assigned', 'voted', 'closed', 'failed', 'retried',
  'skipped', 'reclaimed', 'removed', 'dropped', 'repeated', 'orphaned' }
