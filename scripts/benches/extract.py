"""What items cost: a crawl of the whole documentation with and without three fields."""

import json
import shutil
import subprocess

from . import contenders, measure
from .crawl import Site
from .nginx import Nginx

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
    docs = subprocess.check_output(["rustc", "--print", "sysroot"], text=True).strip()
    nginx = Nginx(work, docs + "/share/doc/rust/html")
    site = Site("whole", nginx.url, "/", "/")
    crawlers = [
        contenders.Ours("pages", bins, tuned=False),
        Items("pages and items", bins, tuned=False),
    ]
    runs = {crawler.name: [] for crawler in crawlers}
    found = {}
    try:
        # The first round warms the page cache and is not counted.
        for round in range(options.runs + 1):
            for crawler in crawlers:
                dir = work / "run"
                shutil.rmtree(dir, ignore_errors=True)
                dir.mkdir()
                crawler.prepare(site, dir)
                nginx.forget()
                result = measure.run(crawler.command(site, dir), dir)
                pages = nginx.pages()
                if wrong := crawler.check(dir, pages):
                    problems.append(f"extract, {crawler.name}, round {round}: {wrong}")
                if found.setdefault("", pages) != pages:
                    problems.append(f"extract, {crawler.name}: other pages in round {round}")
                del result["stderr"]
                if round > 0:
                    runs[crawler.name].append(result)
                    print(f"extract {round}: {crawler.name} {result['wall_s']:.2f} s", flush=True)
    finally:
        nginx.stop()
    return report(len(found[""]), runs)


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
