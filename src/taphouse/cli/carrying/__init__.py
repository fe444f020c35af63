"""State is carried over a change of its seed: what a new version ships meets what the old one has learnt.

May know `starting` and `making`; they must not know it.
"""
