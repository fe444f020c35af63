"""forwarding: what `portforward` serves with.

A factory whose connections go on to another address.  Apart from its maker, so
that a server that runs needs nothing of what parses options.
"""

from taphouse.makers.forwarding.forwarder import Forwarder

__all__ = ["Forwarder"]
