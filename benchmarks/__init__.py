"""What Guanlan claims about speed, measured: `python -m benchmarks` runs everything and writes the numbers down."""
