-- The loads of bench/load.py for wrk; bench/wrk.py gives the arguments: load, project, worker id, secret, token.
-- One thread only: each has a state of its own, and no two may submit the same unique_string.

local load, project, headers, token
local count = 0
bad = 0  -- global, so that done() can read it from the thread
local held = {}  -- bodies of releases to come

local BULK, BATCH = 1000, 100

local function task(number)
  return string.format('{"project":%s,"recipe":"https://example.org/%010d","unique_string":"%s-%010d"}',
    project, number, token, number)
end

local function post(path, body)
  return wrk.format('POST', path, headers, body)
end

local function bulk()
  local tasks = {}
  for place = 1, BULK do
    tasks[place] = task(count * BULK + place)
  end
  return post('/task/bulk_submit', '{"requests":[' .. table.concat(tasks, ',') .. ']}')
end

local function take_or_release(get, path)
  local body = table.remove(held)
  if body then
    return post(path, body)
  end
  return wrk.format('GET', get, headers)
end

local requests = {
  noop = function() return wrk.format('GET', '/') end,
  poll = function() return wrk.format('GET', '/task/get/' .. project, headers) end,
  submit = function() return post('/task/submit', task(count)) end,
  bulk_submit = bulk,
  get_release = function() return take_or_release('/task/get/' .. project, '/task/release') end,
  batch = function() return take_or_release('/task/get/' .. project .. '?count=' .. BATCH, '/task/bulk_release') end,
}

function init(args)
  load, project, token = args[1], args[2], args[5]
  headers = { ['X-Worker-ID'] = args[3], ['X-Secret'] = args[4] }
end

function request()
  count = count + 1
  return requests[load]()
end

-- The task ids of an answer: numbers that name a task have six digits or more, those of a project at most five.
local function hold(body)
  local releases = {}
  for id in string.gmatch(body, '"id":(%d%d%d%d%d%d+)') do
    releases[#releases + 1] = '{"task_id":' .. id .. ',"result":0}'
  end
  if #releases > 0 then
    local batch = '{"requests":[' .. table.concat(releases, ',') .. ']}'
    held[#held + 1] = load == 'batch' and batch or releases[1]
  elseif not string.find(body, '"updated"', 1, true) or string.find(body, 'false', 1, true) then
    bad = bad + 1
  end
end

function response(_, _, body)
  if load == 'get_release' or load == 'batch' then
    hold(body)
  end
end

local thread_of_all
function setup(thread)
  thread_of_all = thread
end

-- One line of JSON: latencies in microseconds.
function done(summary, latency)
  local wrong = thread_of_all:get('bad') or 0
  local errors = summary.errors
  io.write(string.format(
    '{"seconds":%f,"calls":%d,"status":%d,"socket":%d,"bad":%d,"p50":%d,"p99":%d,"p99.9":%d,"max":%d}\n',
    summary.duration / 1e6, summary.requests, errors.status, errors.connect + errors.read + errors.write
    + errors.timeout, wrong, latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max))
end
