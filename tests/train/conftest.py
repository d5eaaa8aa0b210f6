"""What is tuned here stands in `tests/small_llama.py`."""

from tests.small_llama import llama, rows

__all__ = ["llama", "rows"]
