"""The toy laboratory: a transformer over short binary strings, every string scored exactly at every point."""
