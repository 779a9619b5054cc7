"""English, with unambiguous dates."""
