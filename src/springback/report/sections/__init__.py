"""What the page says, one file per section; templates hold the words around it."""
