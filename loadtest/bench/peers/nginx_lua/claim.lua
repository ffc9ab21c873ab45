-- Decides claims in nginx: sends one EVALSHA for each over a pooled socket, and writes the answer. Speaks RESP by hand,
-- only as much of it as the script needs: no Debian package has a client of Redis for nginx.

local claims = {}
claims.__index = claims

local TITLE = 'Every pack of this round has been claimed.'
local CALL = '*6\r\n$7\r\nEVALSHA\r\n$40\r\n%s\r\n$1\r\n2\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n'
local CLAIM = '{"claim":{"round":"%s","id":"%s-%s","serial":%s,"claimed_at":"%s.%03dZ"},"replayed":%s}'
local PROBLEM = '{"type":"urn:claimd:problem:%s","title":"%s","status":%d,"code":"%s"}'
local IDLE_MS, POOL_SIZE = 60000, 256

function claims.new(socket_path, script_path)
  local file = assert(io.open(script_path, 'rb'))
  local script = file:read('*a')
  file:close()
  -- The prefix of a round's claim ids never changes, so it is read once.
  return setmetatable({ address = 'unix:' .. socket_path, script = script, prefixes = {} }, claims)
end

-- One reply: a string, a list of strings, or nil and the error.
local function read_reply(socket)
  local line, failed = socket:receive('*l')
  if not line then
    return nil, failed
  end
  local kind, rest = line:sub(1, 1), line:sub(2)
  if kind == '-' then
    return nil, rest
  elseif kind == '*' then
    local list = {}
    for index = 1, tonumber(rest) do
      local item, broken = read_reply(socket)
      if not item then
        return nil, broken
      end
      list[index] = item
    end
    return list
  elseif kind == '$' then
    local length = tonumber(rest)
    if length < 0 then
      return nil, 'nothing there'
    end
    local data, broken = socket:receive(length + 2)
    return data and data:sub(1, length), broken
  end
  return rest
end

local function command(socket, ...)
  local words = { '*', select('#', ...), '\r\n' }
  for index = 1, select('#', ...) do
    local word = select(index, ...)
    words[#words + 1] = '$' .. #word .. '\r\n' .. word .. '\r\n'
  end
  local _, failed = socket:send(words)
  if failed then
    return nil, failed
  end
  return read_reply(socket)
end

function claims:evaluate(socket, round_key, claims_key, identity)
  local sha = self.sha
  if not sha then
    local failed
    sha, failed = command(socket, 'SCRIPT', 'LOAD', self.script)
    if not sha then
      return nil, failed
    end
    self.sha = sha
  end
  local _, failed = socket:send(
    CALL:format(sha, #round_key, round_key, #claims_key, claims_key, #identity, identity)
  )
  if failed then
    return nil, failed
  end
  local reply, rejected = read_reply(socket)
  if not reply and rejected:find('^NOSCRIPT') then
    self.sha = nil
    return self:evaluate(socket, round_key, claims_key, identity)
  end
  return reply, rejected
end

local function send(status, content_type, body)
  ngx.status = status
  local header = ngx.header
  header.content_type = content_type
  header.content_length = #body
  ngx.print(body)
end

function claims:claim(round, identity)
  local socket = ngx.socket.tcp()
  local connected = socket:connect(self.address, { pool_size = POOL_SIZE })
  if not connected then
    return ngx.exit(503)
  end
  local reply = self:evaluate(socket, 'peer:round:' .. round, 'peer:claims:' .. round, identity)
  local prefix = self.prefixes[round]
  if reply and not prefix then
    prefix = command(socket, 'HGET', 'peer:round:' .. round, 'id_prefix')
    self.prefixes[round] = prefix
  end
  if not reply then
    socket:close()
    return ngx.exit(503)
  end
  socket:setkeepalive(IDLE_MS, POOL_SIZE)
  local outcome, stored = reply[1], reply[2]
  if stored == '' then
    local status = outcome == 'round_not_found' and 404 or 409
    return send(status, 'application/problem+json', PROBLEM:format(outcome, TITLE, status, outcome))
  end
  local colon = stored:find(':', 1, true)
  local serial, claimed_at_ms = stored:sub(1, colon - 1), tonumber(stored:sub(colon + 1))
  local second = math.floor(claimed_at_ms / 1000)
  if self.second ~= second then
    self.second, self.time = second, os.date('!%Y-%m-%dT%H:%M:%S', second)
  end
  local replayed = outcome == 'replayed'
  send(
    replayed and 200 or 201,
    'application/json',
    CLAIM:format(round, prefix, serial, serial, self.time, claimed_at_ms % 1000, tostring(replayed))
  )
end

return claims
