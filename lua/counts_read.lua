#!lua flags=no-writes
-- Reads which runs were not merged, and what those that were have counted, as of one moment.
--
-- KEYS  runs  hash    run -> seen_ms:waiting, of each that was not merged
-- KEYS  past  hash    counter -> value, of all runs that were merged
-- ARGV  call  string  repeated in the reply: no other call takes it for its own
-- REPLY {call, now_ms, {run, seen_ms:waiting …}, {counter, value …}}
-- COST  O(n) for n runs and counters
--- @include "includes/clock"

local call = ARGV[1]

local now_ms = server_time_ms()
return { call, now_ms, redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2]) }
