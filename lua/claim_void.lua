#!lua
-- Takes a claim back: its pack is in stock again, its serial is not given again, and its person may claim again or is
-- barred. Does so once for each serial: a void that was done before is written again unchanged, so that a WAIT that
-- follows waits for it.
--
-- KEYS  round     hash    definition, counters and flags of the round
-- KEYS  log       stream  one entry per void
-- KEYS  claims    hash    identity digest -> serial:claimed_at_ms; 0:voided_at_ms of one that is barred
-- KEYS  voids     hash    serial -> the identity digest, then claimed_at_ms:voided_at_ms:barred
-- ARGV  call      string  repeated in the reply: no other call takes it for its own
-- ARGV  round_id  string  the round's id, for the log
-- ARGV  serial    number  of the claim
-- ARGV  identity  bytes   the digest of the claim's person, by the log
-- ARGV  barred    flag    1 where the person may not claim again
-- ARGV  who       string  the operator, for the log
-- ARGV  reason    string  why, in the operator's words
-- REPLY {call, now_ms, outcome, void}: outcome is done, round_not_found, archived or no_such_claim; `void` is the value
--       in `voids`, where the claim is voided
-- COST  O(1)
--- @include "includes/clock"
--- @include "includes/round_fields"
--- @include "includes/round_time"

local call, round_id, serial, identity, barred = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local who, reason = ARGV[6], ARGV[7]

local now_ms = server_time_ms()
local round = read_round({ 'total', 'version', 'last_grant_ms', 'archived', 'voided' })
if not round.total then
  return { call, now_ms, 'round_not_found' }
end
if round.archived then
  return { call, now_ms, 'archived' }
end
local void = redis.call('HMGET', KEYS[4], serial)[1]
if void then
  redis.call('HSET', KEYS[4], serial, void)
  return { call, now_ms, 'done', void }
end
local held = redis.call('HMGET', KEYS[3], identity)[1] or ''
local holds, claimed_at_ms = string.match(held, '^(%d+):(%d+)$')
if holds ~= serial then
  return { call, now_ms, 'no_such_claim' }
end

local at_ms = string.format('%.0f', round_time_ms(now_ms, tonumber(round.last_grant_ms)))
void = identity .. claimed_at_ms .. ':' .. at_ms .. ':' .. barred
redis.call('HSET', KEYS[4], serial, void)
redis.call('HSET', KEYS[1], 'voided', (round.voided or 0) + 1)
if barred == '1' then
  redis.call('HSET', KEYS[3], identity, '0:' .. at_ms)
else
  redis.call('HDEL', KEYS[3], identity)
end
redis.call('XADD', KEYS[2], '*', 'void', round_id, 'serial', serial, 'claim', void, 'version', round.version,
  'who', who, 'reason', reason)
return { call, now_ms, 'done', void }
