"""Coverage-guided fuzzing of what reads the clients' bytes."""
