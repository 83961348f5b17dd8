"""What a hostile network meets."""
