#!lua flags=no-writes
-- Looks up the claims of a batch of identities in one round.
--
-- KEYS  round       hash    definition, counters and flags of the round
-- KEYS  claims      hash    identity digest -> serial:claimed_at_ms; 0:voided_at_ms of one that is barred
-- ARGV  call        string  repeated in the reply: no other call takes it for its own
-- ARGV  identities  bytes   identity digests of 16 bytes, packed: 1 to 512 of them
-- REPLY {call, now_ms, absence, claim ...}: one claim per identity: "serial:claimed_at_ms", "0:voided_at_ms" of one
--       that is barred, or 0 where it holds none; `absence` is not_claimed; or round_not_found or archived, with no
--       claims behind it
-- COST  O(n) for n identities
--- @include "includes/clock"
--- @include "includes/round_fields"

local call, identities = ARGV[1], ARGV[2]

local now_ms = server_time_ms()
local round = read_round({ 'total', 'archived' })
if not round.total then
  return { call, now_ms, 'round_not_found' }
end
if round.archived then
  return { call, now_ms, 'archived' }
end

local batch = {}
for i = 1, #identities / 16 do
  batch[i] = string.sub(identities, i * 16 - 15, i * 16)
end
local held = redis.call('HMGET', KEYS[2], unpack(batch))

local reply = { call, now_ms, 'not_claimed' }
for i = 1, #batch do
  reply[i + 3] = held[i] or 0
end
return reply
