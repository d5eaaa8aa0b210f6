"""Reward models: trained on pairs or ranked answers, measured on held-out ones."""
