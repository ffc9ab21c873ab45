#!lua
-- Deletes a round in which nothing was ever issued, and logs it. Its epoch and version stay: passes given out for it
-- must not fit a later round of the same id.
--
-- KEYS  round       hash    definition, counters and flags of the round
-- KEYS  log         stream  one entry per edit
-- ARGV  call        string  an id of this call, so that its reply is never taken for another's
-- ARGV  round_id    string  the round's id, for the log
-- ARGV  action      string  what the operator did, for the log
-- ARGV  who         string  the operator, for the log
-- ARGV  reason      string  why, in the operator's words; may be empty
-- ARGV  if_version  string  the version that is to be deleted, or empty for any
-- REPLY {call, now_ms, outcome, field, value …}: outcome is done, round_not_found, archived, version_mismatch
--       or has_claims, then the whole round as it was
-- COST  O(fields)
local call, round_id, action, who, reason, if_version = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HMGET', KEYS[1], 'total', 'issued', 'version', 'epoch', 'archived')
if not state[1] then
  return { call, now_ms, 'round_not_found' }
end
local found = redis.call('HGETALL', KEYS[1])

local outcome = 'done'
if state[5] then
  outcome = 'archived'
elseif if_version ~= '' and if_version ~= state[3] then
  outcome = 'version_mismatch'
elseif tonumber(state[2]) > 0 then
  outcome = 'has_claims'
else
  local version = tonumber(state[3]) + 1
  redis.call('UNLINK', KEYS[1])
  redis.call('HSET', KEYS[1], 'version', version, 'epoch', (state[4] or 0) + 1)
  redis.call('XADD', KEYS[2], '*', 'edit', round_id, 'version', version, 'at_ms', string.format('%.0f', now_ms),
    'action', action, 'who', who, 'reason', reason, 'fields', '{}')
end
return { call, now_ms, outcome, unpack(found) }
