#!lua
-- Moves counters of rounds that are over into sums over all such rounds, within what runs that have ended have counted.
--
-- KEYS  past   hash    counter -> value, of all runs that were merged
-- ARGV  call   string  repeated in the reply: no other call takes it for its own
-- ARGV  pairs  strings counter, the sum it moves into, counter, sum …: 1 to 500 pairs
-- REPLY {call, moved}: how many of these counters there were
-- COST  O(pairs)
local call = ARGV[1]

local pairs = { unpack(ARGV, 2) }
local sums, names, gone = {}, {}, {}
for i = 1, #pairs, 2 do
  local value = redis.call('HMGET', KEYS[1], pairs[i])[1]
  if value then
    local into = pairs[i + 1]
    if not sums[into] then
      names[#names + 1] = into
      sums[into] = tonumber(redis.call('HMGET', KEYS[1], into)[1] or 0) or 0
    end
    sums[into] = sums[into] + (tonumber(value) or 0)
    gone[#gone + 1] = pairs[i]
  end
end
local writes = {}
for i = 1, #names do
  writes[2 * i - 1], writes[2 * i] = names[i], string.format('%.0f', sums[names[i]])
end

if #gone > 0 then
  redis.call('HSET', KEYS[1], unpack(writes))
  redis.call('HDEL', KEYS[1], unpack(gone))
end
return { call, #gone }
