"""What is counted over all tasks of a project, and over all projects."""
