"""The compression rate of texts under a model, and archives that a model packs and unpacks."""
