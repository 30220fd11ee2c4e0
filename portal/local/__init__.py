"""One-machine use: embedded PostgreSQL and Redis, and the launcher behind `make run`."""
