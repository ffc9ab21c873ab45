"""The command line: `commands/` has a file for each command or group, `arguments/` the parsers of what people type,
`terminal/` everything that is printed. Most commands ask a running console over HTTP (`console_client.py`).
"""
