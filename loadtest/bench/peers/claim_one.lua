#!lua
-- Decides one claim, as common Redis services do it: a peer for the bench, not part of claimd.
--
-- KEYS  round      hash    total, issued, opens_at_ms, closes_at_ms, paused, closed
-- KEYS  claims     hash    identity -> serial:claimed_at_ms
-- ARGV  identity   bytes   the identity that claims
-- REPLY {outcome, serial:claimed_at_ms}: outcome is granted, replayed, or the reason of a refusal
-- COST  O(1)
local round, claims, identity = KEYS[1], KEYS[2], ARGV[1]

local stored = redis.call('HGET', claims, identity)
if stored then
  return { 'replayed', stored }
end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HMGET', round, 'total', 'issued', 'opens_at_ms', 'closes_at_ms', 'paused', 'closed')
if not state[1] then
  return { 'round_not_found', '' }
end
if state[6] == '1' or now_ms >= tonumber(state[4]) then
  return { 'closed', '' }
elseif now_ms < tonumber(state[3]) then
  return { 'not_open', '' }
elseif state[5] == '1' then
  return { 'paused', '' }
elseif tonumber(state[2]) >= tonumber(state[1]) then
  return { 'sold_out', '' }
end
local claim = string.format('%.0f:%.0f', state[2] + 1, now_ms)
redis.call('HSET', claims, identity, claim)
redis.call('HINCRBY', round, 'issued', 1)
return { 'granted', claim }
