--[[ snapshots: a page of a project's snapshots, newest first.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  not after, unix ms, or '+'
  ARGV[2]  not before, unix ms, or '-'
  ARGV[3]  how many
  ARGV[4]  now, unix ms; '' outside tests

  Returns  {now, unix ms; for each {unix ms '-' 0, {field, value...}}}
  Refuses  NOT_FOUND
  Cost     O(snapshots)
]]
--- @include "clock"
--- @include "project"

local base, newest, oldest, count = KEYS[1], ARGV[1], ARGV[2], ARGV[3]

if not project(base) then
  return redis.error_reply('NOT_FOUND No such project')
end
return { clock(ARGV[4]), unpack(redis.call('XREVRANGE', base .. ':snapshots', newest, oldest, 'COUNT', count)) }
