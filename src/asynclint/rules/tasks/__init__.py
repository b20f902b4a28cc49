"""ASY4xx: the lifetime of tasks."""
