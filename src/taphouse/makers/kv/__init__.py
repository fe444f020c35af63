"""kv: a small server that speaks Redis's protocol.

``requests`` turns bytes into words, ``commands`` is the table of what can be said, ``strings``, ``hashes``,
``lists``, ``sets``, ``keys``, ``auth`` and ``server`` say what happens then, ``replies`` turns it into bytes.
A ``Session`` is one connection; a ``Keyspace`` with its databases is all that is remembered.
"""
