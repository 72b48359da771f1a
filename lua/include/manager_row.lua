--- @include "task"

-- What a task has beside its fields. `Row` in broker/store/task_fields.py is the same list.
local STATE = { 'retries', 'created', 'assignee', 'assign_time' }

-- manager_row(base, task, score, longest, most_votes): a task as managers see it: {id, score, bytes of the whole
-- recipe, how many votes, votes, STATE..., FIELDS...}, with false for what it does not have; votes are pairs: worker,
-- verification. `longest`: bytes of the recipe to give at most, up to a whole character; 0 for all. `most_votes`: about
-- how many votes to give at most. The second answer is how many bytes it gives. nil: its record is gone.
local function manager_row(base, task, score, longest, most_votes)
  local key = base .. ':task:' .. task
  local state, fields = redis.call('HMGET', key, unpack(STATE)), redis.call('HMGET', key, unpack(FIELDS))
  local recipe = fields[RECIPE]
  if not (recipe and state[2]) then
    return nil
  end
  local length = #recipe
  if longest > 0 and length > longest then
    -- The last character may be cut in two.
    recipe = string.gsub(string.sub(recipe, 1, longest), '[\192-\247][\128-\191]*$', '')
    fields[RECIPE] = recipe
  end
  local count, votes = 0, {}
  if fields[VERIFICATION_COUNT] then
    count = redis.call('HLEN', key .. ':verifiers')
    votes = count <= most_votes and redis.call('HGETALL', key .. ':verifiers')
      or redis.call('HSCAN', key .. ':verifiers', 0, 'COUNT', most_votes)[2]
  end
  local found = { task, score, length, count, votes, unpack(state, 1, #STATE) }
  for i = 1, #FIELDS do
    found[#found + 1] = fields[i]
  end
  -- A vote takes about as much as 40 bytes of a recipe.
  return found, #recipe + 20 * #votes
end
