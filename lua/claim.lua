#!lua
-- Decides one batch of claims of one round: replays first, then the window and the flags, then grants in order.
-- Time within a round never goes back: a server's clock that is set back opens nothing anew and closes nothing.
--
-- KEYS  round       hash    definition, counters and flags of the round
-- KEYS  claims      hash    identity digest -> serial:claimed_at_ms
-- KEYS  log         stream  one entry per batch of grants
-- ARGV  call        string  an id of this call, so that its reply is never taken for another's
-- ARGV  round_id    string  the round's id, for the log
-- ARGV  rewrite     flag    1 where a WAIT follows, which waits for what its own connection wrote: so a batch that
--                           grants nothing writes a claim again that it repeats
-- ARGV  identities  bytes   identity digests of 16 bytes, packed: 1 to 512 of them
-- REPLY {call, now_ms, refusal, opens_at_ms, held ...}: per claim "serial:claimed_at_ms" where the identity held one,
--       the new serial where it was granted one, 0 where refused for the reason `refusal`
-- COST  O(n) for n identities; where nothing is granted it reads only, or rewrites one field
local round, claims, log = KEYS[1], KEYS[2], KEYS[3]
local call, round_id, rewrite, identities = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HMGET', round, 'total', 'issued', 'opens_at_ms', 'closes_at_ms', 'paused', 'closed',
  'last_grant_ms')
if not state[1] then
  return { call, now_ms, 'round_not_found', 0 }
end
now_ms = math.max(now_ms, tonumber(state[7]))
local total, issued = tonumber(state[1]), tonumber(state[2])
local opens_at_ms, closes_at_ms = tonumber(state[3]), tonumber(state[4])

local refusal, available = 'sold_out', 0
if state[6] == '1' or now_ms >= closes_at_ms then
  refusal = 'closed'
elseif now_ms < opens_at_ms then
  refusal = 'not_open'
elseif state[5] == '1' then
  refusal = 'paused'
else
  available = total - issued
end

local batch = {}
for i = 1, #identities / 16 do
  batch[i] = string.sub(identities, i * 16 - 15, i * 16)
end
local held = redis.call('HMGET', claims, unpack(batch))

local suffix = string.format(':%.0f', now_ms)
local reply = { call, now_ms, refusal, opens_at_ms }
local granted, writes, fresh = {}, {}, {}
local count, replayed = 0, nil
for i = 1, #batch do
  local identity = batch[i]
  local holds = held[i] or fresh[identity]
  if holds then
    reply[i + 4] = holds
    replayed = i
  elseif count < available then
    count = count + 1
    local serial = issued + count
    -- The same identity again in this very batch is a replay of this grant.
    fresh[identity] = serial .. suffix
    granted[count] = identity
    writes[2 * count - 1], writes[2 * count] = identity, fresh[identity]
    reply[i + 4] = serial
  else
    reply[i + 4] = 0
  end
end

if count > 0 then
  local at_ms = string.sub(suffix, 2)
  redis.call('HSET', claims, unpack(writes))
  redis.call('HSET', round, 'issued', issued + count, 'last_grant_ms', at_ms)
  redis.call('XADD', log, '*', 'grants', round_id, 'first', issued + 1, 'at_ms', at_ms,
    'identities', table.concat(granted))
elseif replayed and rewrite == '1' then
  redis.call('HSET', claims, batch[replayed], held[replayed])
end
return reply
