"""Text from the command line, whatever the locale. Python keeps bytes that the locale does not know as surrogates."""


def as_utf8(text: str) -> str:
    """The text with such bytes read as UTF-8. Raises ValueError where they are not."""
    try:
        return text.encode(errors="surrogateescape").decode()
    except UnicodeError:
        raise ValueError("is not UTF-8 text") from None
