"""How important an institution is to the system: indicator scores, buckets, and attribution."""
