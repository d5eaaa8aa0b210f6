"""The life cycle of an alignment: text, alignment, reversal, re-alignment on one chain, and how long each one lasts."""
