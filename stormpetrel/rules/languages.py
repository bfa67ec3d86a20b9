"""Language codes of posts."""

from __future__ import annotations

from stormpetrel.errors import Invalid


def clean_language(language: str) -> str:
    """Return the ISO 639 code in its usual spelling, with a region if given ("pt-BR").

    Raise Invalid for others.
    """
    parts = language.strip().replace("_", "-").split("-")
    head = parts[0].lower()
    if not head:
        return ""
    if not (
        2 <= len(head) <= 3
        and head.isalpha()
        and all(part.isascii() and part.isalnum() and len(part) <= 8 for part in parts)
    ):
        raise Invalid("Validation failed: Language is not a language code")
    return "-".join([head, *parts[1:3]])
