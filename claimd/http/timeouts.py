"""How long a client may take over its part. The time that claimd takes, for a long audit say, has no bound here."""

# A connection on which nothing is asked, unless the settings say otherwise.
IDLE_SECONDS = 75.0
# From the first byte of a request to the end of its head: dripping does not help.
REQUEST_SECONDS = 10.0
# An answer of which nothing is taken. Whoever takes a little every now and then may be slow.
ANSWER_SECONDS = 20.0
