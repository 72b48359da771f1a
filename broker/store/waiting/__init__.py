"""What lets a get wait for a task."""
