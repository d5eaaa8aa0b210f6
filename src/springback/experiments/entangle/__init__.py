"""Which preference pairs will lower their chosen answer, or raise the rejected one, and whether that comes true."""
