"""``broker demo``: a fleet of workers crawls the Python documentation."""
