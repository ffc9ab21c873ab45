#!lua
-- Keeps what must be the same on every gateway, where it is not kept yet, and replies what is kept.
--
-- KEYS  installation hash    what must agree: name -> value
-- ARGV  call         string  repeated in the reply: no other call takes it for its own
-- ARGV  pairs        strings name, value, name, value … of the caller
-- REPLY {call, name, value …}: all that is kept now
-- COST  O(pairs)
local call = ARGV[1]

for i = 2, #ARGV, 2 do
  if not redis.call('HGET', KEYS[1], ARGV[i]) then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
return { call, unpack(redis.call('HGETALL', KEYS[1])) }
