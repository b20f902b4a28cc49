"""ASY5xx: cancellation, timeouts, exceptions."""
