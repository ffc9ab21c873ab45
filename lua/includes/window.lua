-- The window of a round, opens_at_ms <= time < closes_at_ms, and the time that it is compared with: the same rule as
-- `Round.window_time_ms` and MAX_STEP_BACK_MS in claimd/domain/rounds.py.
--
-- NEEDS   round_time_ms
-- DEFINES window_time_ms(now_ms, last_grant_ms, window_lifted_ms)  the server's time; that of the newest grant where
--         the clock went back by at most an hour since, unless the window was edited after that grant
--- @include "includes/round_time"

local function window_time_ms(now_ms, last_grant_ms, window_lifted_ms)
  local max_step_back_ms = 3600000
  if last_grant_ms > window_lifted_ms and last_grant_ms - now_ms <= max_step_back_ms then
    return round_time_ms(now_ms, last_grant_ms)
  end
  return now_ms
end
