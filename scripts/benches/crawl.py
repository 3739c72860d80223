"""Crawls of the Rust documentation, interleaved, with the sets of pages compared."""

import html
import re
import shutil
from urllib.parse import unquote_plus

from . import contenders, measure
from .nginx import Nginx, rust_docs

# Pages that only one side finds, and why that is right.
EXPLAINED = [
    (r"/toc\.html$", "an <iframe> of mdBook in <noscript>; a frame is not a link"),
    (r"\?search=[a-z:]*::", "wget2 takes the colon in href='?search=vec::new' for a scheme's"),
]


def plain(page):
    """One form for a page: wget2 asks for `?a=1&amp;b=<` where `?a=1&b=%3C` is meant."""
    return unquote_plus(html.unescape(page))


class Site:
    def __init__(self, name, base, path, within):
        self.name = name
        self.start = base + path
        # Bare paths, as in the server's log.
        self.within = within
        self.allow = f"^{re.escape(base)}{within}" if within != "/" else None


def run(bins, work, options, problems):
    nginx = Nginx(work, rust_docs())
    sites = [
        Site("std", nginx.url, "/std/index.html", "/std/"),
        Site("whole", nginx.url, "/", "/"),
    ]
    sites = [site for site in sites if options.site in (site.name, "both")]
    crawlers = contenders.line_up(bins, work, not options.no_scrapy)
    try:
        return {site.name: bench(site, nginx, crawlers, work, options, problems) for site in sites}
    finally:
        nginx.stop()


def bench(site, nginx, crawlers, work, options, problems):
    # Scrapy takes a minute for /std/ and a quarter of an hour for the whole host.
    if site.name == "whole":
        crawlers = [c for c in crawlers if not isinstance(c, contenders.Scrapy)]
    runs, found, commands = rounds(site, nginx, crawlers, work, options, problems)
    differences = compare(site, found, problems)
    return report(site, runs, found, commands, differences)


def rounds(site, nginx, crawlers, work, options, problems, look=None):
    """Their runs, the pages that each found, and how each was started. `look` sees what a run left."""
    runs = {crawler.name: [] for crawler in crawlers}
    found = {}
    commands = {}
    # The first round warms the page cache and is not counted.
    for round in range(options.runs + 1):
        # Each begins a round in its turn: who comes after whom would otherwise matter.
        turn = round % len(crawlers)
        for crawler in crawlers[turn:] + crawlers[:turn]:
            if round == 0 and isinstance(crawler, contenders.Scrapy):
                continue
            dir = work / "run"
            shutil.rmtree(dir, ignore_errors=True)
            dir.mkdir()
            crawler.prepare(site, dir)
            command = crawler.command(site, dir)
            nginx.forget()
            result = measure.run(command, dir, codes=getattr(crawler, "codes", (0,)))
            # Only for a failure.
            del result["stderr"]
            pages = nginx.pages()
            if wrong := crawler.check(dir, pages):
                problems.append(f"{site.name}, {crawler.name}, round {round}: {wrong}")
            if found.setdefault(crawler.name, pages) != pages:
                problems.append(f"{site.name}, {crawler.name}: other pages in round {round}")
            if look:
                look(crawler, dir)
            commands[crawler.name] = " ".join(map(str, command))
            if round > 0:
                runs[crawler.name].append(result)
                print(f"{site.name} {round}: {crawler.name} {result['wall_s']:.2f} s", flush=True)
    return runs, found, commands


def compare(site, found, problems):
    """Which pages others found and the first did not, and the other way; unexplained is wrong."""
    names = list(found)
    ours = set(map(plain, found[names[0]]))
    differences = {}
    for name in names[1:]:
        pages = set(map(plain, found[name]))
        listed = {"more": {}, "fewer": {}}
        for side, page in [
            *(("more", page) for page in sorted(pages - ours)),
            *(("fewer", page) for page in sorted(ours - pages)),
        ]:
            why = next((why for pattern, why in EXPLAINED if re.search(pattern, page)), None)
            listed[side][page] = why
            if not why:
                problems.append(f"{site.name}: {name} has {side}: {page}")
        if listed["more"] or listed["fewer"]:
            differences[name] = listed
            more, fewer = len(listed["more"]), len(listed["fewer"])
            print(f"{site.name}: {name}: {more} pages more, {fewer} fewer, explained in bench.json")
    return differences


def report(site, runs, found, commands, differences):
    medians = {
        name: {
            "pages": len(found[name]),
            **{key: measure.median(results, key) for key in ("wall_s", "cpu_s", "peak_mib")},
        }
        for name, results in runs.items()
    }
    peers = [name for name in medians if not name.startswith("ours")]
    ratios = {
        f"{name} / {peer}": {
            key: round(medians[name][key] / medians[peer][key], 3) for key in ("wall_s", "cpu_s")
        }
        for name in medians
        for peer in [*peers, "ours, no checkpoint"]
        if name.startswith("ours") and name != peer
    }
    print(f"\n{site.start}: medians of {len(runs['ours, checkpoint'])}, interleaved")
    head = ["", "pages", "wall s", "pages/s", "CPU s", "peak MiB"]
    head += [f"wall / {peer}" for peer in peers]
    rows = []
    for name, m in medians.items():
        row = [name, m["pages"], f"{m['wall_s']:.2f}", f"{m['pages'] / m['wall_s']:.0f}"]
        row += [f"{m['cpu_s']:.2f}", f"{m['peak_mib']:.0f}"]
        row += [f"{m['wall_s'] / medians[peer]['wall_s']:.3f}" for peer in peers]
        rows.append(row)
    measure.table(head, rows)
    return {
        "start": site.start,
        "commands": commands,
        "medians": medians,
        "ratios": ratios,
        "differences": differences,
        "runs": runs,
    }
