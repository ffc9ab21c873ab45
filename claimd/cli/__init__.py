"""The command line: one file a command. It says in words what the console says in JSON."""
