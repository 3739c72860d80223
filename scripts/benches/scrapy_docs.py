"""The same crawl in Scrapy: title, size and status of every page."""

from urllib.parse import urlsplit

from scrapy.linkextractors import LinkExtractor
from scrapy.spiders import CrawlSpider, Rule


class Docs(CrawlSpider):
    name = "docs"
    custom_settings = {
        "CONCURRENT_REQUESTS": 32,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 32,
        "DOWNLOAD_DELAY": 0,
        "ROBOTSTXT_OBEY": True,
        "TELNETCONSOLE_ENABLED": False,
        "LOG_LEVEL": "ERROR",
    }

    def __init__(self, start, allow="", **rest):
        self.start_urls = [start]
        self.allowed_domains = [urlsplit(start).hostname]
        self.rules = [Rule(LinkExtractor(allow=allow or ()), callback="record", follow=True)]
        super().__init__(**rest)

    def record(self, page):
        title = page.css("title::text").get()
        yield {"url": page.url, "status": page.status, "bytes": len(page.body), "title": title}
