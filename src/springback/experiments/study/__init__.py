"""Losses × cures × data × seeds, predicted and measured: `springback study entanglement`."""
