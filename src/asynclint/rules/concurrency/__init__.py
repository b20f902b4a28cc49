"""ASY3xx: concurrency lost, or without bound."""
