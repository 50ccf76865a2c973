"""Systemic-risk measures: pure functions on arrays, each with its reference; no input or output."""
