"""Making: types of servers and their options become taps; changed options are merged with state.

What `mktap` does, without its command line.
"""
