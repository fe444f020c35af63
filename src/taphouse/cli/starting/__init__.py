"""Starting: from a tap or from code to a server that accepts, step by step; saving and embedding too.

It must never know `mktap`: what a start needs of a tap is in its plan.
"""
