#!lua
-- Deletes a round in which nothing was ever issued, and logs it. Its epoch and version stay: passes given out for it
-- must not fit a later round of the same id.
--
-- KEYS  round       hash    definition, counters and flags of the round
-- KEYS  log         stream  one entry per edit
-- ARGV  call        string  repeated in the reply: no other call takes it for its own
-- ARGV  round_id    string  the round's id, for the log
-- ARGV  action      string  what the operator did, for the log
-- ARGV  who         string  the operator, for the log
-- ARGV  reason      string  why, in the operator's words; may be empty
-- ARGV  if_version  string  the version that is to be deleted, or empty for any
-- REPLY {call, now_ms, outcome, field, value …}: outcome is done, round_not_found, archived, version_mismatch
--       or has_claims, then the whole round as it was
-- COST  O(fields)
--- @include "includes/clock"
--- @include "includes/round_fields"
--- @include "includes/log_edit"

local call, round_id, action, who, reason, if_version = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

local now_ms = server_time_ms()
local round = read_round({ 'total', 'issued', 'version', 'epoch', 'archived' })
if not round.total then
  return { call, now_ms, 'round_not_found' }
end
local found = redis.call('HGETALL', KEYS[1])

local outcome = 'done'
if round.archived then
  outcome = 'archived'
elseif if_version ~= '' and if_version ~= round.version then
  outcome = 'version_mismatch'
elseif tonumber(round.issued) > 0 then
  outcome = 'has_claims'
else
  local version = tonumber(round.version) + 1
  redis.call('UNLINK', KEYS[1])
  redis.call('HSET', KEYS[1], 'version', version, 'epoch', (round.epoch or 0) + 1)
  log_edit(round_id, version, now_ms, action, who, reason, '{}')
end
return { call, now_ms, outcome, unpack(found) }
