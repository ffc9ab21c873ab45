#!lua
-- Edits a round: checks the result as a whole, writes all fields or none, and logs the edit with its reason.
--
-- KEYS  round         hash    definition, counters and flags of the round
-- KEYS  log           stream  one entry per edit
-- ARGV  call          string  repeated in the reply: no other call takes it for its own
-- ARGV  round_id      string  the round's id, for the log
-- ARGV  action        string  what the operator did, for the log; revoke_passes also begins a new epoch
-- ARGV  who           string  the operator, for the log
-- ARGV  reason        string  why, in the operator's words
-- ARGV  if_version    string  the version that the edit is for, or empty for any
-- ARGV  total_change  number  what to add to the total, whatever it is now; 0 adds nothing and is not logged
-- ARGV  max_total     number  the largest total there may be
-- ARGV  fields        json    the changed fields as an object, for the log
-- ARGV  pairs         strings field, value, field, value … of what changes; may be none
-- REPLY {call, now_ms, outcome, field, value …}: outcome is done, round_not_found, archived, version_mismatch,
--       invalid_total, total_below_issued or invalid_window, then the whole round
-- COST  O(fields)
--- @include "includes/clock"
--- @include "includes/round_fields"
--- @include "includes/round_time"
--- @include "includes/log_edit"

local call, round_id, action, who, reason, if_version = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local total_change, max_total, fields = tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9]

local now_ms = server_time_ms()
local round = read_round({ 'total', 'issued', 'opens_at_ms', 'closes_at_ms', 'version', 'last_grant_ms', 'epoch',
  'eligibility', 'archived', 'voided' })
if not round.total then
  return { call, now_ms, 'round_not_found' }
end
now_ms = round_time_ms(now_ms, tonumber(round.last_grant_ms))

local after = { total = round.total, opens_at_ms = round.opens_at_ms, closes_at_ms = round.closes_at_ms,
  eligibility = round.eligibility }
local changes = {}
for i = 10, #ARGV, 2 do
  after[ARGV[i]] = ARGV[i + 1]
  changes[ARGV[i]] = true
end
local total = tonumber(after.total) + total_change

local outcome = 'done'
if round.archived then
  outcome = 'archived'
elseif if_version ~= '' and if_version ~= round.version then
  outcome = 'version_mismatch'
elseif total < 0 or total > max_total then
  outcome = 'invalid_total'
elseif total < round.issued - (round.voided or 0) then
  outcome = 'total_below_issued'
elseif tonumber(after.closes_at_ms) <= tonumber(after.opens_at_ms) then
  outcome = 'invalid_window'
else
  local version = tonumber(round.version) + 1
  local writes = { 'version', version, unpack(ARGV, 10) }
  if total_change ~= 0 then
    local text = string.format('%.0f', total)
    writes[#writes + 1], writes[#writes + 2] = 'total', text
    -- The log has the new total, not the change, as it has the new value of every other field.
    fields = string.gsub('{"total":"' .. text .. '",' .. string.sub(fields, 2), ',}$', '}')
  end
  if action == 'revoke_passes' or after.eligibility ~= round.eligibility then
    writes[#writes + 1], writes[#writes + 2] = 'epoch', (round.epoch or 0) + 1
  end
  if changes.opens_at_ms or changes.closes_at_ms then
    writes[#writes + 1], writes[#writes + 2] = 'window_lifted_ms', round.last_grant_ms
  end
  redis.call('HSET', KEYS[1], unpack(writes))
  log_edit(round_id, version, now_ms, action, who, reason, fields)
end
return { call, now_ms, outcome, unpack(redis.call('HGETALL', KEYS[1])) }
