#!lua
-- Creates a round, unless there is one of that id, and logs it. An existing round is written again unchanged, so that a
-- WAIT that follows waits for it. Where a round of that id was deleted, its epoch and version go on.
--
-- KEYS  round     hash    definition, counters and flags of the round
-- KEYS  log       stream  one entry per edit
-- ARGV  call      string  repeated in the reply: no other call takes it for its own
-- ARGV  round_id  string  the round's id, for the log
-- ARGV  action    string  what the operator did, for the log
-- ARGV  who       string  the operator, for the log
-- ARGV  reason    string  why, in the operator's words; may be empty
-- ARGV  fields    json    the definition's fields as an object, for the log
-- ARGV  pairs     strings field, value, field, value … of the definition
-- REPLY {call, now_ms, outcome, field, value …}: outcome is done or round_exists, then the whole round
-- COST  O(fields)
--- @include "includes/clock"
--- @include "includes/round_fields"
--- @include "includes/log_edit"

local call, round_id, action, who, reason, fields = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

local now_ms = server_time_ms()
local outcome = 'done'
local round = read_round({ 'total', 'version', 'epoch' })
if round.total then
  outcome = 'round_exists'
  redis.call('HSET', KEYS[1], 'version', round.version)
else
  local version = (round.version or 0) + 1
  redis.call('HSET', KEYS[1], 'issued', 0, 'paused', 0, 'closed', 0, 'version', version, 'last_grant_ms', 0,
    'epoch', round.epoch or 0, 'window_lifted_ms', 0, unpack(ARGV, 7))
  log_edit(round_id, version, now_ms, action, who, reason, fields)
end
return { call, now_ms, outcome, unpack(redis.call('HGETALL', KEYS[1])) }
