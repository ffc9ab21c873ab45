#!lua
-- Saves what one run of a gateway has counted since its last save, and that it lives. Values are absolute, so that a
-- repeated save changes nothing. Writes nothing for a run that was merged, or whose last save the server has lost.
--
-- KEYS  runs    hash    run -> state:seen_ms:waiting, of every run
-- KEYS  counts  hash    counter -> value, of this run
-- ARGV  call    string  an id of this call, so that its reply is never taken for another's
-- ARGV  run     string  the run's name
-- ARGV  seen    string  seen_ms of the run's last save; empty where this save does not build on another one
-- ARGV  waiting number  claims that wait for a batch
-- ARGV  pairs   strings counter, value, counter, value … of what changed: 0 to 500 pairs
-- REPLY {call, now_ms, outcome, seen_ms}: outcome is saved, behind (the server holds another save than `seen`) or
--       merged; seen_ms is of the save that the server holds, 0 where there is none
-- COST  O(pairs)
local runs, counts = KEYS[1], KEYS[2]
local call, run, seen, waiting = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local state, held = string.match(redis.call('HMGET', runs, run)[1] or '', '^(%a+):(%d+):')
held = held or '0'
if state == 'merged' then
  return { call, now_ms, state, tonumber(held) }
end
if seen ~= '' and seen ~= held then
  return { call, now_ms, 'behind', tonumber(held) }
end

-- No two saves of a run that follow each other have the same time, whatever the clock does.
local seen_ms = now_ms
if seen_ms == tonumber(held) then
  seen_ms = seen_ms + 1
end
if #ARGV > 4 then
  redis.call('HSET', counts, unpack(ARGV, 5))
end
redis.call('HSET', runs, run, string.format('on:%.0f:%s', seen_ms, waiting))
return { call, now_ms, 'saved', seen_ms }
