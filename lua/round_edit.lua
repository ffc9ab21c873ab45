#!lua
-- Edits a round: checks the result as a whole, writes all fields or none, and logs the edit with its reason.
--
-- KEYS  round     hash    definition, counters and flags of the round
-- KEYS  log       stream  one entry per edit
-- ARGV  call      string  an id of this call, so that its reply is never taken for another's
-- ARGV  round_id  string  the round's id, for the log
-- ARGV  reason    string  why, in the operator's words
-- ARGV  fields    json    the changed fields as an object, for the log
-- ARGV  pairs     strings field, value, field, value … of what changes
-- REPLY {call, now_ms, outcome, field, value …}: outcome is done, round_not_found, total_below_issued or
--       invalid_window, then the whole round
-- COST  O(fields)
local round, log = KEYS[1], KEYS[2]
local call, round_id, reason, fields = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HMGET', round, 'total', 'issued', 'opens_at_ms', 'closes_at_ms', 'version', 'last_grant_ms')
if not state[1] then
  return { call, now_ms, 'round_not_found' }
end
-- As in claim.lua: the log of a round never goes back in time.
now_ms = math.max(now_ms, tonumber(state[6]))

local after = { total = state[1], opens_at_ms = state[3], closes_at_ms = state[4] }
for i = 5, #ARGV, 2 do
  after[ARGV[i]] = ARGV[i + 1]
end

local outcome = 'done'
if tonumber(after.total) < tonumber(state[2]) then
  outcome = 'total_below_issued'
elseif tonumber(after.closes_at_ms) <= tonumber(after.opens_at_ms) then
  outcome = 'invalid_window'
else
  local version = tonumber(state[5]) + 1
  redis.call('HSET', round, 'version', version, unpack(ARGV, 5))
  redis.call('XADD', log, '*', 'edit', round_id, 'version', version, 'at_ms', string.format('%.0f', now_ms),
    'reason', reason, 'fields', fields)
end
return { call, now_ms, outcome, unpack(redis.call('HGETALL', round)) }
