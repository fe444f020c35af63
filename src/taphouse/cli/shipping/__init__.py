"""Shipping: from a tap, and the code that runs it, to what is installed elsewhere.

What `tap2deb`, `tap tree` and `tap oci` have in common, without their command lines.
"""
