#!lua
-- Takes a closed round off the server, once a file holds it: its claims and its log go, and a stub stays, so that its
-- id is never used again. One that was archived before is written again unchanged, so that a WAIT that follows waits
-- for it.
--
-- KEYS  round       hash    definition, counters and flags of the round; afterwards the stub
-- KEYS  claims      hash    identity digest -> serial:claimed_at_ms
-- KEYS  log         stream  one entry per batch of grants, per edit and per void
-- KEYS  voids       hash    serial -> the claim that was voided
-- ARGV  call        string  repeated in the reply: no other call takes it for its own
-- ARGV  version     number  the version of the round that the file holds
-- ARGV  issued      number  how many grants the file holds
-- ARGV  voided      number  how many voids the file holds
-- ARGV  sha256      string  the digest of the file, in hex
-- ARGV  file        string  where the file is, for the operator
-- ARGV  who         string  the operator
-- ARGV  reason      string  why, in the operator's words
-- REPLY {call, now_ms, outcome, field, value …}: outcome is done, round_not_found, not_closed or version_mismatch, then
--       the whole round as it is now; done also where it was archived before, with another file perhaps
-- COST  O(fields): the server frees what was removed later, by itself
--- @include "includes/clock"
--- @include "includes/round_fields"
--- @include "includes/closed"

local call, version, issued, voided, sha256 = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local file, who, reason = ARGV[6], ARGV[7], ARGV[8]

local now_ms = server_time_ms()
local round = read_round({ 'total', 'version', 'issued', 'closes_at_ms', 'closed', 'archived', 'voided' })
if not round.total then
  return { call, now_ms, 'round_not_found' }
end

local outcome = 'done'
if round.archived then
  redis.call('HSET', KEYS[1], 'version', round.version)
elseif round.version ~= version or round.issued ~= issued or (round.voided or '0') ~= voided then
  outcome = 'version_mismatch'
elseif not is_closed(round, now_ms) then
  outcome = 'not_closed'
else
  -- It stays closed and whole for a claimd of an earlier version, which does not know what archived means.
  redis.call('HSET', KEYS[1], 'closed', 1, 'pack', '{}', 'eligibility', '{}', 'archived', sha256, 'archive_file', file,
    'archived_at_ms', string.format('%.0f', now_ms), 'archived_by', who, 'archive_reason', reason)
  redis.call('UNLINK', KEYS[2])
  redis.call('UNLINK', KEYS[3])
  redis.call('UNLINK', KEYS[4])
end
return { call, now_ms, outcome, unpack(redis.call('HGETALL', KEYS[1])) }
