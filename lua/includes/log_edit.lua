-- The log entry of an operator's change to a round.
--
-- NEEDS   KEYS[2] log
-- DEFINES log_edit(round_id, version, at_ms, action, who, reason, fields)  appends the entry; `version` is that of the
--         round after the change, `fields` a JSON object of the fields that it sets
local function log_edit(round_id, version, at_ms, action, who, reason, fields)
  redis.call('XADD', KEYS[2], '*', 'edit', round_id, 'version', version, 'at_ms', string.format('%.0f', at_ms),
    'action', action, 'who', who, 'reason', reason, 'fields', fields)
end
