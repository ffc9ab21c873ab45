#!lua
-- Creates a round, unless there is one of that id, and logs it. One that there is is written again as it is, so that
-- whoever waits for a replica waits for it.
--
-- KEYS  round     hash    definition, counters and flags of the round
-- KEYS  log       stream  one entry per edit
-- ARGV  call      string  an id of this call, so that its reply is never taken for another's
-- ARGV  round_id  string  the round's id, for the log
-- ARGV  reason    string  why, in the operator's words; may be empty
-- ARGV  fields    json    the definition's fields as an object, for the log
-- ARGV  pairs     strings field, value, field, value … of the definition
-- REPLY {call, now_ms, outcome, field, value …}: outcome is done or round_exists, then the whole round
-- COST  O(fields)
local round, log = KEYS[1], KEYS[2]
local call, round_id, reason, fields = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local outcome = 'done'
local version = redis.call('HMGET', round, 'version')[1]
if version then
  outcome = 'round_exists'
  redis.call('HSET', round, 'version', version)
else
  local initial = { 'issued', 0, 'paused', 0, 'closed', 0, 'version', 1, 'last_grant_ms', 0, unpack(ARGV, 5) }
  redis.call('HSET', round, unpack(initial))
  redis.call('XADD', log, '*', 'edit', round_id, 'version', 1, 'at_ms', string.format('%.0f', now_ms),
    'reason', reason, 'fields', fields)
end
return { call, now_ms, outcome, unpack(redis.call('HGETALL', round)) }
