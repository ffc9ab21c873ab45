#!lua
-- Adds what a run has counted to the sum of all runs that have ended, and forgets it. Its name is kept, so that a run
-- which lives after all learns of it. A value that is not a number is left out.
--
-- KEYS  runs       hash    run -> seen_ms:waiting, of each that was not merged
-- KEYS  counts     hash    counter -> value, of this run
-- KEYS  past       hash    counter -> value, of all runs that were merged
-- KEYS  merged     hash    run -> seen_ms, of each that was merged
-- ARGV  call       string  repeated in the reply: no other call takes it for its own
-- ARGV  run        string  the run's name
-- ARGV  silent_ms  number  a run that has saved within this time is left alone
-- REPLY {call, now_ms, outcome}: outcome is alive, merged, or unknown where there is no such run, or was merged before
-- COST  O(n) for n counters of the run
--- @include "includes/clock"

local call, run, silent_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])

local now_ms = server_time_ms()
local entry = redis.call('HMGET', KEYS[1], run)[1]
if not entry then
  return { call, now_ms, 'unknown' }
end
local seen_ms = string.match(entry, '^(%d+):') or '0'
-- A clock that is set back makes a save seem to come from the future.
if math.abs(now_ms - tonumber(seen_ms)) < silent_ms then
  return { call, now_ms, 'alive' }
end

local flat = redis.call('HGETALL', KEYS[2])
local all, names, values = {}, {}, {}
for i = 1, #flat, 2 do
  all[#all + 1] = flat[i]
  if string.match(flat[i + 1], '^%d+$') then
    names[#names + 1], values[#values + 1] = flat[i], tonumber(flat[i + 1])
  end
end
local writes = {}
for i = 1, #names, 500 do
  local last = math.min(i + 499, #names)
  local past = redis.call('HMGET', KEYS[3], unpack(names, i, last))
  for j = i, last do
    local sum = values[j] + (tonumber(past[j - i + 1] or 0) or 0)
    writes[2 * j - 1], writes[2 * j] = names[j], string.format('%.0f', sum)
  end
end

redis.call('HSET', KEYS[4], run, seen_ms)
redis.call('HDEL', KEYS[1], run)
for i = 1, #writes, 1000 do
  redis.call('HSET', KEYS[3], unpack(writes, i, math.min(i + 999, #writes)))
end
for i = 1, #all, 500 do
  redis.call('HDEL', KEYS[2], unpack(all, i, math.min(i + 499, #all)))
end
return { call, now_ms, 'merged' }
