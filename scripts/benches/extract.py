"""What items cost: a crawl of the whole documentation with and without three fields."""

import json

from . import contenders, measure
from .crawl import Site, rounds
from .nginx import Nginx, rust_docs

FIELDS = {
    "title": {"css": "title::text"},
    "first": {"css": "p"},
    "code": {"css": "pre", "get_all": True, "processors": [{"type": "count"}]},
}


class Items(contenders.Ours):
    """The same crawl with an item of each page."""

    def prepare(self, site, dir):
        spider = {"name": "docs", "start_urls": [site.start], "sections": [{"extract": FIELDS}]}
        (dir / "docs.json").write_text(json.dumps(spider))

    def check(self, dir, pages):
        if wrong := super().check(dir, pages):
            return wrong
        items = [record["item"] for record in self.records(dir) if "item" in record]
        if len(items) != len(pages):
            return f"{len(items)} items of {len(pages)} pages"
        titles = sum(item["title"] is not None for item in items)
        if titles < 0.99 * len(items):
            return f"{titles} titles in {len(items)} items"
        return None


def run(bins, work, options, problems):
    nginx = Nginx(work, rust_docs())
    site = Site("whole", nginx.url, "/", "/")
    crawlers = [
        contenders.Ours("pages", bins, tuned=False),
        Items("pages and items", bins, tuned=False),
    ]
    try:
        runs, found, _ = rounds(site, nginx, crawlers, work, options, problems)
    finally:
        nginx.stop()
    pages, items = found.values()
    if pages != items:
        problems.append(f"extract: {len(pages ^ items)} pages differ")
    return report(len(pages), runs)


def report(pages, runs):
    keys = ("wall_s", "cpu_s", "peak_mib")
    medians = {
        name: {key: measure.median(results, key) for key in keys} for name, results in runs.items()
    }
    plain, items = medians.values()
    ratios = {key: round(items[key] / plain[key], 3) for key in keys}
    count = len(next(iter(runs.values())))
    print(f"\n{pages} pages with and without three fields: medians of {count}, interleaved")
    rows = [
        [name, f"{m['wall_s']:.2f}", f"{m['cpu_s']:.2f}", f"{m['peak_mib']:.0f}"]
        for name, m in medians.items()
    ]
    rows.append(["ratio", *(f"{ratios[key]:.3f}" for key in keys)])
    measure.table(["", "wall s", "CPU s", "peak MiB"], rows)
    return {"pages": pages, "fields": FIELDS, "medians": medians, "ratios": ratios, "runs": runs}
