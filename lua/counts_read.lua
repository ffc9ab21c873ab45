#!lua flags=no-writes
-- Reads which runs were merged and what all of these have counted, as of one moment.
--
-- KEYS  runs  hash    run -> state:seen_ms:waiting, of every run
-- KEYS  past  hash    counter -> value, of all runs that were merged
-- ARGV  call  string  an id of this call, so that its reply is never taken for another's
-- REPLY {call, now_ms, {run, state:seen_ms:waiting …}, {counter, value …}}
-- COST  O(n) for n runs and counters
local runs, past = KEYS[1], KEYS[2]
local call = ARGV[1]

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
return { call, now_ms, redis.call('HGETALL', runs), redis.call('HGETALL', past) }
