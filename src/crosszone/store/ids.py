"""Names of stored things: unique without asking anybody, and in the order in which they were made."""

from __future__ import annotations

import secrets

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32, without letters that look like digits; its order is that of the characters."""
TIME_BITS, RANDOM_BITS = 48, 80
"""Those of a ULID (github.com/ulid/spec): milliseconds since 1970, then chance."""
NUM_CHARACTERS = (TIME_BITS + RANDOM_BITS + 4) // 5


def new_id(prefix: str, now_seconds: float) -> str:
    """`prefix`, a dash and 26 characters: ids of one prefix sort by the millisecond they were made in."""
    number = int(now_seconds * 1000) << RANDOM_BITS | secrets.randbits(RANDOM_BITS)
    digits = (ALPHABET[number >> 5 * place & 31] for place in reversed(range(NUM_CHARACTERS)))
    return f"{prefix}-{''.join(digits)}"
