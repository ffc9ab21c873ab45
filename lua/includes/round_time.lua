-- The time of a round, which never goes back: neither between two grants nor in its log.
--
-- DEFINES round_time_ms(now_ms, last_grant_ms)  the server's time, or that of the newest grant where it is later
local function round_time_ms(now_ms, last_grant_ms)
  return math.max(now_ms, last_grant_ms)
end
