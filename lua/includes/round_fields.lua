-- Fields of a round by name.
--
-- NEEDS   KEYS[1] round
-- DEFINES read_round(names)  a table of field -> string, or false where the round has no such field
local function read_round(names)
  -- KEYS[1] is written out: managed clusters (Alibaba Cloud's, for one) read a script before they run it, and reject
  -- one that has anything else, such as a parameter, in the place of a key.
  local values, round = redis.call('HMGET', KEYS[1], unpack(names)), {}
  for i = 1, #names do
    round[names[i]] = values[i]
  end
  return round
end
