"""Known silent failures of language-model tools, each tried on one model. See `experiments/doctor.py`."""
