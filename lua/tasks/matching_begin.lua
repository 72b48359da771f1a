--[[ matching_begin: note that tasks that match a filter must be retried or removed; drain_step does that.

  drain_step walks by number over the tasks that exist now, so it meets each once; tasks that do not match stay in
  reach.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  'retry_tasks' or 'remove_tasks'
  ARGV[2]  state; 'failed' for retry_tasks
  ARGV[3]  a text in the recipe or in the message of the last failure, '' for any
  ARGV[4]  group, '' for any
  ARGV[5]  worker that holds the task or failed it last, '' for any
  ARGV[6]  how many such calls may be in progress at most

  Returns  the number of the call, in `:drains`
  Refuses  NOT_FOUND, RATE_LIMITED
  Cost     O(maintenance calls in progress)
]]
--- @include "project"
--- @include "drain"

local base, guard, operation, state, contains, group = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local worker, most = ARGV[5], tonumber(ARGV[6])

local fields = project(base, 'seq')
if not fields then
  return redis.error_reply('NOT_FOUND No such project')
end
local walks = 0
for _, text in ipairs(redis.call('HVALS', base .. ':drains')) do
  walks = walks + (string.find(text, '^%a+_tasks ') and 1 or 0)
end
if walks >= most then
  return redis.error_reply('RATE_LIMITED 5000000 Too many calls of this project retry or remove tasks at the moment')
end

redis.call('DEL', guard)
local text = string.format('%s 0 %s 0 %s %s @%s\n', operation, fields[2] or '0', state, worker == '' and '-' or worker,
  group) .. contains
return string.match(begin_drain(base, text), '%d+$')
