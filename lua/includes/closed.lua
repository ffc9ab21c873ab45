-- Whether a round is over.
--
-- DEFINES is_closed(round, time_ms)  true where an operator closed it, or its window has ended by `time_ms`; the table
--         `round` has the fields closed and closes_at_ms
local function is_closed(round, time_ms)
  return round.closed == '1' or time_ms >= tonumber(round.closes_at_ms)
end
