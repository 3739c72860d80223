"""What keeping pages costs: a crawl of the whole documentation with and without WARC, beside wget."""

import json
import pathlib
import shutil

from . import contenders, measure
from .crawl import Site, rounds
from .nginx import Nginx, rust_docs


class Kept(contenders.Ours):
    """The same crawl with all that is exchanged in WARC files."""

    def prepare(self, site, dir):
        spider = {"name": "docs", "start_urls": [site.start], "warc": True}
        (dir / "docs.json").write_text(json.dumps(spider))

    def check(self, dir, pages):
        if wrong := super().check(dir, pages):
            return wrong
        places = [tuple(record["warc"].values())[:2] for record in self.records(dir)]
        if len(set(places)) != len(pages):
            return f"{len(set(places))} answers of {len(pages)} pages"
        return None


class Wget:
    """wget with its WARC, which has pages only as well; the files themselves go after they were read."""

    name = "wget --warc-file"
    # 8: a server sent an error for some file.
    codes = (0, 8)

    def __init__(self):
        self.program = shutil.which("wget")

    def prepare(self, site, dir):
        pass

    def command(self, site, dir):
        command = [self.program, "-q", "-r", "-l", "inf", "-np", "--ignore-tags=img,script,link"]
        command += ["--delete-after", "-P", contenders.MEMORY / "bench-wget"]
        return [*command, "--warc-file=pages", "--no-warc-keep-log", site.start]

    def check(self, dir, pages):
        shutil.rmtree(contenders.MEMORY / "bench-wget", ignore_errors=True)
        return None


def run(bins, work, options, problems):
    nginx = Nginx(work, rust_docs())
    site = Site("whole", nginx.url, "/", "/")
    crawlers = [
        contenders.Ours("pages", bins, tuned=False),
        Kept("pages and WARC", bins, tuned=False),
    ]
    if shutil.which("wget"):
        crawlers.append(Wget())
    else:
        print("LEFT OUT: wget is not installed: apt-get install wget")
    sizes = {}

    def look(crawler, dir):
        files = [*dir.glob("*.warc.gz"), *dir.glob("data/default/docs/crawls/*-warc/*")]
        sizes[crawler.name] = sum(pathlib.Path(file).stat().st_size for file in files)

    try:
        runs, found, _ = rounds(site, nginx, crawlers, work, options, problems, look)
    finally:
        nginx.stop()
    return report(runs, found, sizes)


def report(runs, found, sizes):
    keys = ("wall_s", "cpu_s", "peak_mib")
    medians = {
        name: {
            "pages": len(found[name]),
            "warc_mb": round(sizes[name] / 1e6, 1),
            **{key: measure.median(results, key) for key in keys},
        }
        for name, results in runs.items()
    }
    count = len(runs["pages"])
    print(f"\nthe whole host with and without WARC: medians of {count}, interleaved")
    rows = [
        [name, m["pages"], f"{m['wall_s']:.2f}", f"{m['cpu_s']:.2f}", f"{m['peak_mib']:.0f}"]
        + [f"{m['warc_mb']:.0f}"]
        for name, m in medians.items()
    ]
    measure.table(["", "pages", "wall s", "CPU s", "peak MiB", "WARC MB"], rows)
    kept = medians["pages and WARC"]
    more = round(kept["cpu_s"] - medians["pages"]["cpu_s"], 2)
    print(f"WARC costs {more} CPU s more")
    result = {"medians": medians, "more_cpu_s": more, "runs": runs}
    if wget := medians.get(Wget.name):
        result["wget_cpu"] = round(wget["cpu_s"] / kept["cpu_s"], 2)
        print(f"wget takes {result['wget_cpu']} times the CPU")
    return result
