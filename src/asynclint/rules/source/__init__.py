"""ASY000: files that could not be looked at."""
