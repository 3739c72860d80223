"""Crawls of many millions of URLs, each part beside the goal that it has; see PARTS."""

import json
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import time

from . import frontier, many, measure

MILLION = 1_000_000
MEMORY = 1 << 30
WITHIN = ("--memory", "1G")
# More than any of them takes.
AMPLE = ("--memory", "64G")


def run(bins, work, options, problems):
    """Runs the parts that are asked for, as far as the disk has room for each of them."""
    names = options.only.split(",") if options.only else list(PARTS)
    if unknown := [name for name in names if name not in PARTS]:
        raise SystemExit(f"no part of scale: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    scale = options.scale
    if scale != 1:
        print(f"Everything is {scale:g} of its size: the goals are those of the whole.")
    needed = {name: int(PARTS[name][1] * scale) for name in names}
    free = shutil.disk_usage(work).free - options.leave * 10**9
    for name in names:
        print(f"{name} needs {needed[name] / 1e9:.1f} GB of disk")
    if max(needed.values()) > free:
        raise SystemExit(
            f"{free / 1e9:.1f} GB are free, with {options.leave} GB left alone: --scale makes all "
            "smaller, --only takes some, --leave leaves less alone"
        )
    folder = work / "scale"
    rows, report = [], {"scale": scale}
    for name in names:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        print(f"{name} …", flush=True)
        try:
            told = PARTS[name][0](Place(bins, work, folder, scale, options), problems)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        for row in told:
            print("  " + "  ".join(row), flush=True)
        report[name] = {what: figure for what, figure, _, _ in told}
        rows += told
    print()
    measure.table(["", "here", "goal", ""], rows)
    return report


class Place:
    """Where a part runs, and how large it is."""

    def __init__(self, bins, work, folder, scale, options):
        self.bins, self.work, self.folder, self.options = bins, work, folder, options
        self.scale = scale
        self.job = folder / "job"

    def size(self, millions):
        return max(int(millions * MILLION * self.scale), 10_000)

    def add(self, feed, *options):
        """Adds what feed prints; what it took, and how many were new."""
        feed = [self.bins / "examples" / "feed", *map(str, feed)]
        source = subprocess.Popen(feed, stdout=subprocess.PIPE)
        command = [self.bins / "crawl-frontier", "add", "--job", self.job, *options]
        result = measure.run(command, self.folder, stdin=source.stdout)
        source.stdout.close()
        source.wait()
        result["added"] = int(re.search(r"added (\d+)", result["stderr"])[1])
        return result

    def journal_bytes(self):
        return sum(file.stat().st_size for file in self.job.glob("journal-*"))

    def counts(self):
        command = [self.bins / "crawl-frontier", "stat", "--job", self.job, "--json"]
        return json.loads(subprocess.check_output(command))

    def remove(self):
        frontier.remove(self.job)


def goal(what, figure, unit, most=None, least=None, digits=1):
    """A row: what it is, the figure, the goal, and whether it holds."""
    holds = figure <= most if most is not None else figure >= least
    words = f"at most {most:,}" if most is not None else f"at least {least:,}"
    return (what, f"{figure:,.{digits}f} {unit}", f"{words} {unit}", "" if holds else "NO")


def peak_mib(result):
    return max(process["peak_mib"] for process in result["processes"])


def seen(place, problems):
    """The set of what was seen alone."""
    count = place.size(200)
    command = [place.bins / "examples" / "feed", "seen", str(count), str(MEMORY), place.job]
    result = measure.run(command, place.folder)
    seconds = float(re.search(r"took ([\d.]+) s", result["stderr"])[1])
    return [
        goal("set alone, new, synced", count / seconds / 1000, "thousand/s", least=600, digits=0),
        goal("  its memory", peak_mib(result), "MiB", most=1050, digits=0),
    ]


def add(place, problems):
    """New URLs through add, with journal and pending queue."""
    count = place.size(200)
    result = place.add(["urls", count, count // 100], *WITHIN)
    if result["added"] != count:
        problems.append(f"scale add: {result['added']} of {count} were new")
    rate = count / result["wall_s"] / 1000
    return [
        goal("add, new", rate, "thousand/s", least=350, digits=0),
        goal("  its memory", peak_mib(result), "MiB", most=1050, digits=0),
    ]


def grown(place, problems):
    """A job of 100 million: what a URL costs, links that are offered, and how it starts."""
    few, count = place.size(1), place.size(100)
    cost = {}
    # Half a second each, in which chance weighs most.
    small = [("few", few, AMPLE)] * 5
    for name, size, options in [*small, ("ample", count, AMPLE), ("1G", count, WITHIN)]:
        place.remove()
        result = place.add(["urls", size, max(size // 100, 1)], *options)
        cost.setdefault(name, []).append(result["wall_s"] / size)
    cost = {name: statistics.median(of) for name, of in cost.items()}
    opening = place.add(["urls", 0, 1], *WITHIN)["wall_s"]
    links = place.size(10)
    offered = place.add(["offered", count, links, count // 100], *WITHIN)
    if offered["added"] != links // 5:
        problems.append(f"scale grown: {offered['added']} of {links} links were new")
    rate = links / max(offered["wall_s"] - opening, 1e-3) / 1000
    started, fetcher, _ = frontier.answered(
        place.bins, place.folder, place.job, count // 2, *WITHIN
    )
    frontier.pause(started)
    fetcher.wait()
    first = frontier.first_request(place.bins, place.folder, place.job, *WITHIN)
    return [
        goal("a URL of 100 M beside one of 1 M", cost["ample"] / cost["few"], "times", most=1.5, digits=2),
        goal("  with 1 GB", cost["1G"] / cost["few"], "times", most=3, digits=2),
        goal("links offered, 80 % known", rate, "thousand/s", least=300, digits=0),
        goal("first request, 100 M seen, 50 M pending", first["first_s"], "s", most=0.5, digits=2),
        goal("  its memory", first["peak_mib"], "MiB", most=1050, digits=0),
    ]


def hosts(place, problems):
    """5 million URLs, over as many hosts and over 100,000."""
    count = place.size(5)
    few = max(count // 50, 1)
    rates, memory = {}, {}
    for number in (few, count):
        place.remove()
        place.add(["urls", count, number])
        start = time.perf_counter()
        started, fetcher, _ = frontier.answered(place.bins, place.folder, place.job, count // 2)
        rates[number] = count // 2 / (time.perf_counter() - start)
        frontier.pause(started)
        fetcher.wait()
        memory[number] = frontier.first_request(place.bins, place.folder, place.job)["peak_mib"]
    each = (memory[count] - memory[few]) * 2**20 / (count - few)
    fall = (1 - rates[count] / rates[few]) * 100
    return [
        goal(f"a host in memory, {count:,} beside {few:,}", each, "B", most=120, digits=0),
        goal("pages/s fall by", fall, "%", most=20, digits=0),
    ]


def finish(place, problems):
    """20 million finished in one run, killed at its end."""
    count = place.size(20)
    place.add(["urls", count, count // 100])
    output = ("--output", place.folder / "out.jsonl")
    started, fetcher, told = frontier.answered(
        place.bins, place.folder, place.job, count - 1, *output
    )
    longest = int(re.search(r"longest wait (\d+) ms", told)[1])
    settle(place)
    written = written_bytes(started) - (place.folder / "out.jsonl").stat().st_size
    started.send_signal(signal.SIGKILL)
    started.wait()
    fetcher.wait()
    each = place.journal_bytes() / count
    first = frontier.first_request(place.bins, place.folder, place.job, *output)["first_s"]
    counts = place.counts()
    if counts["done"] != count - 1:
        problems.append(f"scale finish: {counts}")
    return [
        goal("20 M in one run: longest gap", longest, "ms", most=200, digits=0),
        goal("  journal at the end, a URL", each, "B", most=30),
        goal("  written for it, a URL", written / count, "B", most=350, digits=0),
        goal("  first request after SIGKILL", first, "s", most=2, digits=2),
    ]


def written_bytes(process):
    """What a process wrote to the disk until now."""
    figures = pathlib.Path(f"/proc/{process.pid}/io").read_text()
    return int(re.search(r"^write_bytes: (\d+)", figures, re.M)[1])


def settle(place):
    """Waits until nobody rewrites a journal any more."""
    before, since = None, time.monotonic()
    while time.monotonic() - since < 2:
        now = place.journal_bytes()
        if now != before:
            before, since = now, time.monotonic()
        time.sleep(0.1)


def pause(place, problems):
    """30 million pending, and a second SIGTERM while a pause writes them down."""
    count = place.size(30)
    place.add(["urls", count, count // 100])
    (place.job / "image").unlink(missing_ok=True)
    requests = place.folder / "requests"
    with open(requests, "wb") as stdout:
        started = frontier.serve(place.bins, place.job, stdin=subprocess.PIPE, stdout=stdout)
    wait_for(lambda: requests.stat().st_size > 0, started)
    started.send_signal(signal.SIGTERM)
    wait_for((place.job / "image.tmp").exists, started)
    start = time.perf_counter()
    started.send_signal(signal.SIGTERM)
    started.wait()
    seconds = time.perf_counter() - start
    counts = place.counts()
    if counts["pending"] + counts["in_flight"] != count:
        problems.append(f"scale pause: {counts}")
    frontier.first_request(place.bins, place.folder, place.job)
    return [goal("second SIGTERM, 30 M pending", seconds, "s", most=1, digits=2)]


def wait_for(is_so, process):
    while not is_so():
        if process.poll() is not None:
            raise SystemExit(f"serve ended with {process.returncode}")
        time.sleep(0.002)


def sites(place, problems):
    """1,000 hosts of 12 pages: `scripts/bench many`."""
    medians = many.run(place.bins, place.work, place.options, problems)["medians"]

    def beside(ours, theirs):
        if theirs not in medians:
            return []
        ratio = medians[ours]["wall_s"] / medians[theirs]["wall_s"]
        return [goal(f"  {ours}: beside {theirs}", ratio, "times", most=1, digits=2)]

    batch = f"batch, {many.JOBS} jobs"
    rows = []
    for crawl, wget in [("one crawl", "wget2"), ("one crawl, TLS", "wget2, TLS")]:
        made = medians[crawl]["connections"]
        rows.append(goal(f"1,000 hosts, {crawl}", made, "connections", most=1100, digits=0))
        rows += beside(crawl, wget)
    rows.append(goal("1,000 sites, --jobs 16", medians[batch]["wall_s"], "s", most=6, digits=2))
    return rows + beside(batch, f"{many.HOSTS} times wget2, {many.JOBS} at once")


# By name: what it does, and the bytes of disk that it needs at most when it is whole.
PARTS = {
    "seen": (seen, 200 * MILLION * 40),
    "add": (add, 200 * MILLION * 140),
    "grown": (grown, 100 * MILLION * 240),
    "hosts": (hosts, 5 * MILLION * 300),
    "finish": (finish, 20 * MILLION * 350),
    "pause": (pause, 30 * MILLION * 130),
    "sites": (sites, 500 * MILLION),
}
