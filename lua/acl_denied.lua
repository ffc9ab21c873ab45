#!lua flags=no-writes
-- Which of these commands the user of this connection may not run. Asks the server's access control; runs none of them.
--
-- KEYS  home      hash    not used: the strictest managed servers refuse a script without a key
-- ARGV  call      string  repeated in the reply: no other call takes it for its own
-- ARGV  commands  lines   a command a line, its words separated by spaces
-- REPLY {call, command ...}: those that are denied
-- COST  O(commands)
local call, commands = ARGV[1], ARGV[2]

local reply = { call }
for command in string.gmatch(commands, '[^\n]+') do
  local words = {}
  for word in string.gmatch(command, '%S+') do
    words[#words + 1] = word
  end
  if not redis.acl_check_cmd(unpack(words)) then
    reply[#reply + 1] = command
  end
end
return reply
