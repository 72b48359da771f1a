"""A Scrapy scheduler whose requests are tasks of a broker. docs/scrapy.md shows how to use it."""

from broker.scrapy.fingerprints import ScrapyRedisFingerprinter
from broker.scrapy.scheduler import Scheduler

__all__ = ["Scheduler", "ScrapyRedisFingerprinter"]
