"""Preference data in, a trained model out: `springback prefer`."""
