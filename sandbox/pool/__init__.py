"""Which cell a job runs in: the warm pool, its slots, and opening it on the backend that works here."""
