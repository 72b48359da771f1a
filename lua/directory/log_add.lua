--[[ log_add: keep a line of a worker's log.

  KEYS[1]  broker:{directory}
  KEYS[2]  broker:{directory}:guard
  ARGV[1]  level: trace, info, warn or error
  ARGV[2]  timestamp as the client gave it, unix s
  ARGV[3]  message
  ARGV[4]  JSON object: scope and worker

  Returns  the line's id in its stream
  Refuses  nothing
  Cost     O(1)
]]
return redis.call('XADD', KEYS[1] .. ':logs:' .. ARGV[1], 'MAXLEN', '~', 10000, '*', 'timestamp', ARGV[2], 'message',
  ARGV[3], 'data', ARGV[4])
