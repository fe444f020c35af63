"""Inspecting: what `tap` says of taps and servers, and the changes that need no application code."""
