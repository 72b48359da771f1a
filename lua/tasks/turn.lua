--[[ turn: release tasks, submit tasks and get tasks of one project in one call: `release`, `submit` and `assign`.

  Each part is the script of that name. If one refuses, the others are carried out. A part sees the changes of the parts
  before it: `assign` can return a submitted task, or the next one of a group whose task was released.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  how many arguments `release` has, 0 for no releases
  ARGV[2]  how many `submit` has
  ARGV[3]  how many `assign` has
  ARGV[4+] these arguments

  Returns  for each of the three its reply or its refusal, false if it has no arguments
  Refuses  nothing
  Cost     O(that of the three)
]]
--- @script "release"
--- @script "submit"
--- @script "assign"

-- The server checks its memory only before the first write of a script. This write changes nothing.
local looked = ARGV[2] ~= '0' and redis.pcall('SETRANGE', KEYS[2], 0, '')
local full = type(looked) == 'table' and looked

local at = 3
local function answer(script, count)
  local from = at + 1
  at = at + count
  return script and count ~= '0' and script(KEYS, { unpack(ARGV, from, at) })
end

local released = answer(release, ARGV[1])
local ids = answer(not full and submit, ARGV[2]) or full
return { released, ids, answer(assign, ARGV[3]) }
