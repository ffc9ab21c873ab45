#!lua flags=no-writes
-- Reads which runs were not merged, and what those that were have counted, as of one moment.
--
-- KEYS  runs  hash    run -> seen_ms:waiting, of each that was not merged
-- KEYS  past  hash    counter -> value, of all runs that were merged
-- ARGV  call  string  an id of this call, so that its reply is never taken for another's
-- REPLY {call, now_ms, {run, seen_ms:waiting …}, {counter, value …}}
-- COST  O(n) for n runs and counters
local call = ARGV[1]

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
return { call, now_ms, redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2]) }
