#!lua
-- Takes a closed round off the server, once a file holds it: its claims and its log go, and a stub stays, so that its
-- id is never used again. One that was archived before is written again unchanged, so that a WAIT that follows waits
-- for it.
--
-- KEYS  round       hash    definition, counters and flags of the round; afterwards the stub
-- KEYS  claims      hash    identity digest -> serial:claimed_at_ms
-- KEYS  log         stream  one entry per batch of grants and per edit
-- ARGV  call        string  an id of this call, so that its reply is never taken for another's
-- ARGV  version     number  the version of the round that the file holds
-- ARGV  issued      number  how many grants the file holds
-- ARGV  sha256      string  the digest of the file, in hex
-- ARGV  file        string  where the file is, for the operator
-- ARGV  who         string  the operator
-- ARGV  reason      string  why, in the operator's words
-- REPLY {call, now_ms, outcome, field, value …}: outcome is done, round_not_found, not_closed or version_mismatch, then
--       the whole round as it is now; done also where it was archived before, with another file perhaps
-- COST  O(fields): the server frees what was removed later, by itself
local call, version, issued, sha256, file, who, reason = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HMGET', KEYS[1], 'total', 'version', 'issued', 'closes_at_ms', 'closed', 'archived')
if not state[1] then
  return { call, now_ms, 'round_not_found' }
end

local outcome = 'done'
if state[6] then
  redis.call('HSET', KEYS[1], 'version', state[2])
elseif state[2] ~= version or state[3] ~= issued then
  outcome = 'version_mismatch'
elseif state[5] ~= '1' and now_ms < tonumber(state[4]) then
  outcome = 'not_closed'
else
  -- It stays closed and whole for a claimd of an earlier version, which does not know what archived means.
  redis.call('HSET', KEYS[1], 'closed', 1, 'pack', '{}', 'eligibility', '{}', 'archived', sha256, 'archive_file', file,
    'archived_at_ms', string.format('%.0f', now_ms), 'archived_by', who, 'archive_reason', reason)
  redis.call('UNLINK', KEYS[2])
  redis.call('UNLINK', KEYS[3])
end
return { call, now_ms, outcome, unpack(redis.call('HGETALL', KEYS[1])) }
