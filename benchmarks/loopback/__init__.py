"""What benchmarks/speed.py is made of: a venue on loopback, a reader, rivals, and measuring."""
