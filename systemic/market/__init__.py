"""Systemic risk read from market prices: tail dependence, capital shortfall, co-movement, default distance.

Everywhere: rows are dates in ascending order, columns are institutions, NaN is missing. Losses are positive.
"""
