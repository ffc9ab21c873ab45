#!lua
-- Saves what one run of a gateway has counted since its last save, and that it lives. Values are absolute, so that a
-- repeated save changes nothing. Writes nothing for a run that was merged, or whose last save the server has lost.
--
-- KEYS  runs    hash    run -> seen_ms:waiting, of each that was not merged
-- KEYS  counts  hash    counter -> value, of this run
-- KEYS  merged  hash    run -> seen_ms, of each that was merged
-- ARGV  call    string  repeated in the reply: no other call takes it for its own
-- ARGV  run     string  the run's name
-- ARGV  seen    string  seen_ms of the run's last save; empty where this save does not build on another one
-- ARGV  waiting number  claims that wait for a batch
-- ARGV  pairs   strings counter, value, counter, value … of what changed: 0 to 500 pairs
-- REPLY {call, now_ms, outcome, seen_ms}: outcome is saved, behind (the server holds another save than `seen`) or
--       merged; seen_ms is of the save that the server holds, 0 where there is none
-- COST  O(pairs)
--- @include "includes/clock"

local call, run, seen, waiting = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local now_ms = server_time_ms()
local ended = redis.call('HMGET', KEYS[3], run)[1]
if ended then
  return { call, now_ms, 'merged', tonumber(ended) or 0 }
end
local saved_ms = string.match(redis.call('HMGET', KEYS[1], run)[1] or '', '^(%d+):') or '0'
if seen ~= '' and seen ~= saved_ms then
  return { call, now_ms, 'behind', tonumber(saved_ms) }
end

-- No two saves of a run that follow each other have the same time, whatever the clock does.
local seen_ms = now_ms
if seen_ms == tonumber(saved_ms) then
  seen_ms = seen_ms + 1
end
if #ARGV > 4 then
  redis.call('HSET', KEYS[2], unpack(ARGV, 5))
end
redis.call('HSET', KEYS[1], run, string.format('%.0f:%s', seen_ms, waiting))
return { call, now_ms, 'saved', seen_ms }
