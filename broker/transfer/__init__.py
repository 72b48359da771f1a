"""Reads and checks files of tasks, dumps of the original tracker, and data of scrapy-redis."""
