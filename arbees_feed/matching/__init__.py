"""The same question on two venues: parsed into slots, judged slot by slot. Pure.

What is known of leagues, places and indicators lives in `data/*.toml`; see docs/matching.md.
"""
