#!lua
-- Decides one batch of claims of one round: replays first, then the pass's epoch, the window and the flags, then grants
-- in order. The time of a grant never goes back, whatever the server's clock does (Round.window_time_ms has the rule).
--
-- KEYS  round       hash    definition, counters and flags of the round
-- KEYS  claims      hash    identity digest -> serial:claimed_at_ms
-- KEYS  log         stream  one entry per batch of grants
-- ARGV  call        string  an id of this call, so that its reply is never taken for another's
-- ARGV  round_id    string  the round's id, for the log
-- ARGV  epoch       number  the eligibility epoch that these claims were admitted under; -1 grants nothing
-- ARGV  rewrite     flag    1 where a WAIT follows, which waits for what its own connection wrote: so a batch that
--                           grants nothing writes a claim again that it repeats
-- ARGV  identities  bytes   identity digests of 16 bytes, packed: 1 to 512 of them
-- REPLY {call, now_ms, refusal, opens_at_ms, held ...}: per claim "serial:claimed_at_ms" where the identity held one,
--       the new serial where it was granted one, 0 where refused for the reason `refusal`
-- COST  O(n) for n identities; where nothing is granted it reads only, or rewrites one field
local call, round_id, epoch, rewrite, identities = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local max_step_back_ms = 3600000

-- Managed clusters (Alibaba Cloud's, for one) read scripts before they run them, and want KEYS itself where a key goes.
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HMGET', KEYS[1], 'total', 'issued', 'opens_at_ms', 'closes_at_ms', 'paused', 'closed',
  'last_grant_ms', 'epoch', 'window_lifted_ms', 'archived')
if not state[1] or state[10] then
  return { call, now_ms, state[10] and 'archived' or 'round_not_found', 0 }
end
local total, issued = tonumber(state[1]), tonumber(state[2])
local opens_at_ms, closes_at_ms = tonumber(state[3]), tonumber(state[4])
local last_grant_ms, window_lifted_ms = tonumber(state[7]), tonumber(state[9] or 0)

local window_ms = now_ms
if last_grant_ms > window_lifted_ms and last_grant_ms - now_ms <= max_step_back_ms then
  window_ms = math.max(now_ms, last_grant_ms)
end

local refusal, available = 'sold_out', 0
if epoch ~= (state[8] or '0') then
  refusal = 'pass_outdated'
elseif state[6] == '1' or window_ms >= closes_at_ms then
  refusal = 'closed'
elseif window_ms < opens_at_ms then
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
local held = redis.call('HMGET', KEYS[2], unpack(batch))

local claimed_at_ms = string.format('%.0f', math.max(now_ms, last_grant_ms))
local suffix = ':' .. claimed_at_ms
local reply = { call, window_ms, refusal, opens_at_ms }
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
  reply[2] = math.max(now_ms, last_grant_ms)
  redis.call('HSET', KEYS[2], unpack(writes))
  redis.call('HSET', KEYS[1], 'issued', issued + count, 'last_grant_ms', claimed_at_ms)
  redis.call('XADD', KEYS[3], '*', 'grants', round_id, 'first', issued + 1, 'at_ms', claimed_at_ms,
    'identities', table.concat(granted))
elseif replayed and rewrite == '1' then
  redis.call('HSET', KEYS[2], batch[replayed], held[replayed])
end
return reply
