"""Measures of networks of exposures: contagion, clearing, fire sales, reconstruction, concentration."""
