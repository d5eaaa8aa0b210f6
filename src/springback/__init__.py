"""A laboratory for measuring, explaining and holding the alignment of open-weight language models."""

__version__ = "0.1.0"
