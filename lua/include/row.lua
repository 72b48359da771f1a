-- row(base, task, score, longest): a task as managers see it: {id, score, recipe, bytes of the whole recipe, priority,
-- retries, max_retries, max_assign_time, verification_count, hash, created (unix s), assignee, assign_time (unix s),
-- votes}, with false for a field at its default; votes are pairs: worker, verification. `longest`: bytes of the recipe
-- to give at most, up to a whole character; 0 for all. The second answer is how many bytes it gives. nil: its record is
-- gone, there is no such task.
local function row(base, task, score, longest)
  local key = base .. ':task:' .. task
  local fields = redis.call('HMGET', key, 'recipe', 'priority', 'retries', 'max_retries', 'max_assign_time',
    'verification_count', 'hash', 'created', 'assignee', 'assign_time')
  local recipe = fields[1]
  if not (recipe and fields[8]) then
    return nil
  end
  if longest > 0 and #recipe > longest then
    -- The last character may be cut in two.
    recipe = string.gsub(string.sub(recipe, 1, longest), '[\192-\247][\128-\191]*$', '')
  end
  return { task, score, recipe, #fields[1], fields[2], fields[3], fields[4], fields[5], fields[6], fields[7], fields[8],
    fields[9], fields[10], redis.call('HGETALL', key .. ':verifiers') }, #recipe
end
