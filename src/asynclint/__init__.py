"""Finds code that blocks or wastes the event loop, explains it with the call chain, and rewrites it."""
