std = 'lua51'
globals = {}
read_globals = { 'redis', 'KEYS', 'ARGV' }
max_line_length = 120
-- Each file is checked by itself: what comes from an include is unknown to one, and unused in the other.
ignore = { '113', '211' }
