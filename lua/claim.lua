#!lua
-- Decides one batch of claims of one round: an identity that holds a claim gets it again; for all others the first
-- condition of ORDER that applies refuses the claim; where none applies, claims are granted in order of arrival.
--
-- KEYS  round       hash    definition, counters and flags of the round
-- KEYS  claims      hash    identity digest -> serial:claimed_at_ms; 0:voided_at_ms of one that is barred
-- KEYS  log         stream  one entry per batch of grants
-- ARGV  call        string  repeated in the reply: no other call takes it for its own
-- ARGV  round_id    string  the round's id, for the log
-- ARGV  epoch       number  the eligibility epoch that these claims were admitted under; -1 grants nothing
-- ARGV  rewrite     flag    1 where a WAIT follows: it waits only for what its own connection wrote, so a batch that
--                           grants nothing writes one of the claims that it replays again, unchanged
-- ARGV  identities  bytes   identity digests of 16 bytes, packed: 1 to 512 of them
-- REPLY {call, now_ms, refusal, opens_at_ms, epoch, decision ...}: `epoch` is the round's; one decision per identity:
--       "serial:claimed_at_ms" where it held a claim, "0:voided_at_ms" where it is barred, the new serial where it was
--       granted one, 0 where it was refused for the reason `refusal`
-- ORDER round_not_found archived replayed barred pass_outdated closed not_open paused sold_out granted
-- COST  O(n) for n identities; where nothing is granted it reads only, or rewrites one field
--- @include "includes/clock"
--- @include "includes/round_fields"
--- @include "includes/round_time"
--- @include "includes/window"
--- @include "includes/closed"

local call, round_id, epoch, rewrite, identities = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local now_ms = server_time_ms()
local round = read_round({ 'total', 'issued', 'opens_at_ms', 'closes_at_ms', 'paused', 'closed', 'last_grant_ms',
  'epoch', 'window_lifted_ms', 'archived', 'voided' })
if not round.total then
  return { call, now_ms, 'round_not_found', 0, 0 }
end
if round.archived then
  return { call, now_ms, 'archived', 0, 0 }
end
local total, issued, opens_at_ms = tonumber(round.total), tonumber(round.issued), tonumber(round.opens_at_ms)
local last_grant_ms = tonumber(round.last_grant_ms)
local grant_ms = round_time_ms(now_ms, last_grant_ms)
local window_ms = window_time_ms(now_ms, last_grant_ms, tonumber(round.window_lifted_ms or 0))

-- In the sequence of ORDER, which is ORDER_OF_DECISION of claimd/domain/outcomes.py.
local refusal
local available = 0
if epoch ~= (round.epoch or '0') then
  refusal = 'pass_outdated'
elseif is_closed(round, window_ms) then
  refusal = 'closed'
elseif window_ms < opens_at_ms then
  refusal = 'not_open'
elseif round.paused == '1' then
  refusal = 'paused'
else
  -- Of the claims that the stock does not suffice for.
  refusal = 'sold_out'
  available = total - issued + tonumber(round.voided or 0)
end

local batch = {}
for i = 1, #identities / 16 do
  batch[i] = string.sub(identities, i * 16 - 15, i * 16)
end
local held = redis.call('HMGET', KEYS[2], unpack(batch))

local claimed_at_ms = string.format('%.0f', grant_ms)
local suffix = ':' .. claimed_at_ms
local reply = { call, window_ms, refusal, opens_at_ms, tonumber(round.epoch or 0) }
local granted, writes, fresh = {}, {}, {}
local count, replayed = 0, nil
for i = 1, #batch do
  local identity = batch[i]
  local holds = held[i] or fresh[identity]
  if holds then
    reply[i + 5] = holds
    replayed = i
  elseif count < available then
    count = count + 1
    local serial = issued + count
    -- The same identity again in this very batch is a replay of this grant.
    fresh[identity] = serial .. suffix
    granted[count] = identity
    writes[2 * count - 1], writes[2 * count] = identity, fresh[identity]
    reply[i + 5] = serial
  else
    reply[i + 5] = 0
  end
end

if count > 0 then
  reply[2] = grant_ms
  redis.call('HSET', KEYS[2], unpack(writes))
  redis.call('HSET', KEYS[1], 'issued', issued + count, 'last_grant_ms', claimed_at_ms)
  redis.call('XADD', KEYS[3], '*', 'grants', round_id, 'first', issued + 1, 'at_ms', claimed_at_ms,
    'identities', table.concat(granted))
elseif replayed and rewrite == '1' then
  redis.call('HSET', KEYS[2], batch[replayed], held[replayed])
end
return reply
