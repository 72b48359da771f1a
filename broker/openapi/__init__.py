"""The description of the HTTP API for programs and people, generated from the declarations of the handlers."""
