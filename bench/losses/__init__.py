"""What is lost: the same load and the same two deaths, for taphouse and for others that keep a counter.

``python -m bench.losses`` starts each server, lets counting clients take numbers from it, kills it in the
middle of the work, starts it again and compares what the clients were told with what the server still knows.
It must never look into a server: only replies count.
"""
