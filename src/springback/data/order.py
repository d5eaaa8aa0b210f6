"""One fixed random order for everything here: by hash of the index, not by text nor by the version of a generator."""

import hashlib


def drawn(*numbers: int) -> str:
    """A key to sort by. Leaving one index out does not change the order of the others."""
    return hashlib.sha256(":".join(map(str, numbers)).encode()).hexdigest()
