--- @include "whole_record"
--- @include "assignment"
--- @include "holder"

-- manager_row(base, task, score, longest, most_votes): a task as managers see it: {id, score, bytes of the whole
-- recipe, how many votes, votes, worker that holds it, assign time (unix s), record, error}, with false for what it
-- does not have; votes are pairs: worker, verification; the error is as in `:errors`. `longest`: return at most so many
-- bytes of the recipe, up to a whole character; 0 for all. `most_votes`: return at most about so many votes. Then, how
-- many bytes and how many votes these are. nil: its record is missing. `Row` in broker/store/task_fields.py is the same
-- list.
local function manager_row(base, task, score, longest, most_votes)
  local record, fields = whole_record(base, task)
  if not record then
    return nil
  end
  local length = #record - fields.recipe_at + 1
  if longest > 0 and length > longest then
    -- The last character may be cut in two.
    record = string.gsub(string.sub(record, 1, fields.recipe_at + longest - 1), '[\192-\247][\128-\191]*$', '')
  end
  local count, votes = 0, {}
  if fields.verification_count > 1 then
    local key = base .. ':votes:' .. task
    count = redis.call('HLEN', key)
    if count <= most_votes then
      votes = redis.call('HGETALL', key)
    elseif most_votes > 0 then
      votes = redis.call('HSCAN', key, 0, 'COUNT', most_votes)[2]
    end
  end
  local worker, assign_time = holder_of(base, task)
  local error = redis.call('HGET', base .. ':errors', task)
  -- A vote takes about as much as 40 bytes of a recipe.
  return { task, score, length, count, votes, worker or false, assign_time or false, record, error },
    #record + 20 * #votes + #(error or ''), #votes / 2
end
