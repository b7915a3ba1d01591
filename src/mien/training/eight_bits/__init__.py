"""Models that compute with whole numbers of eight bits: exported ones converted, and networks that are trained for it.

`quantise` converts what `mien export` wrote. Where that costs too much, `settle` first trains the network on in eight
bits; `python -m mien.training.eight_bits` does both.
"""
