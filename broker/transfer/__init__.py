"""Files of tasks, and dumps of the original tracker: what they hold, checked and put in order."""
