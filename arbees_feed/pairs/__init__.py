"""The same question on two venues: pairs of markets, and what both sides cost together.

See docs/pairs.md.
"""
