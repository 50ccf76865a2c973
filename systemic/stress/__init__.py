"""Stress of the sector as a whole: composites and what moved them, the credit gap, breadth."""
