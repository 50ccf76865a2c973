"""Systemic-risk and digital-transformation measures: pure functions of numpy and scipy arrays."""
