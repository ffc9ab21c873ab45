-- The server's clock: the only one that decides anything.
--
-- DEFINES server_time_ms()  milliseconds since 1970; less than before where the clock was set back
local function server_time_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
