"""ASY1xx and ASY2xx: calls that block the event loop, written in async code or reached through helpers."""
