--[[ turn: release tasks, submit some and get some of one project in one call: `release`, `submit` and `assign` in turn.

  Each is the script of that name, and refuses by itself: the others are carried out. What one does is there for the
  next: the next task of a group whose task was released, or what was submitted.

  KEYS[1]  broker:{project:P}
  KEYS[2]  broker:{project:P}:guard
  ARGV[1]  how many arguments `release` has, 0 without releases
  ARGV[2]  of `submit`
  ARGV[3]  of `assign`
  ARGV[4+] those arguments

  Returns  for each of the three what it answers or its refusal, false if it was not asked for
  Refuses  nothing
  Cost     O(that of the three)
]]
--- @script "release"
--- @script "submit"
--- @script "assign"

-- The server looks at its memory before the first write of a script only. This one writes nothing.
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
