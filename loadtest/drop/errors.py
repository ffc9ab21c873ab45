"""Why a drop can end without a report."""


class DropError(Exception):
    """The drop cannot be run, or cannot go on; the message gives the reason."""
