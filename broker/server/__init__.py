"""What runs: the supervisor, the server processes, and what each of them needs."""
