"""What a report shows, as data."""
