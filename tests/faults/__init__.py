"""Real workers, a real Valkey and a real database file, and all that can go wrong with them (`make soak`)."""
