"""The limits that a client meets, with the reason beside each. Those of a definition are in `claimd.domain.rounds`."""

from typing import Final

# No public request has fields: what is larger than a few headers' worth is no client of this API.
MAX_BODY_BYTES: Final = 4096
# A pack of 4 KiB, and room for the rest: 1,000 characters of a reason may be 12,000 bytes, where JSON escapes them.
MAX_CONSOLE_BODY_BYTES: Final = 16 * 1024
# The name of a person, in a token or from an operator: identifiers have 20 to 100 bytes.
MAX_SUBJECT_BYTES: Final = 512
# A few sentences for the log.
MAX_REASON_CHARACTERS: Final = 1000
# To read a page takes the server the time of fifty claims.
MAX_ROUNDS_PER_PAGE: Final = 100

# Requests of one person to one gateway process.
# A person who taps a button sends far fewer than ten requests a second, a script in a loop far more. With a window of
# one second a client that was limited by mistake can retry soon.
REQUESTS_PER_WINDOW: Final = 10
WINDOW_SECONDS: Final = 1.0

# A connection without a request, unless `CLAIMD_IDLE_SECONDS` is set.
IDLE_SECONDS: Final = 75.0
# From the first byte of a request to the end of its head: a client that drips bytes gains no time.
REQUEST_SECONDS: Final = 10.0
# For the whole body.
BODY_SECONDS: Final = 5.0
# Without any progress of an answer. A slow reader that takes some of it every now and then is served on.
ANSWER_SECONDS: Final = 20.0

# Between two events of one stream: a person sees no difference to more, and each is a write to every listener.
EVENT_SECONDS: Final = 0.25
# Proxies close a connection that is silent for a minute; a client that is gone is noticed by a write.
COMMENT_SECONDS: Final = 15.0
# After the end of a stream a client reconnects after one of these, or a time between them.
EVENT_RETRY_MS: Final = (1_000, 5_000)
# Streams of events at a time, of one gateway process, where its limit of open files allows twice as many connections.
# Each takes 14 KiB of its memory: 140 MB.
MAX_LISTENERS: Final = 10_000

# `Retry-After` where the outcome of the claim is unknown. RFC 9110 wants whole seconds; spread at random,
# so that rejected clients do not all retry at the same moment.
RETRY_AFTER_SECONDS: Final = (1, 2, 3)
# A pass stays valid for so long after its round's end, or after it was issued, if that is later: a round may be
# postponed, and a person may look up a claim long afterwards. Edits and revocations outdate a pass at once, so nothing
# depends on its expiry.
PASS_GRACE_DAYS: Final = 366
