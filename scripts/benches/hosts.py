"""500 hosts that take 2 s for each answer: how near to the possible rate a crawl comes."""

import json
import resource
import shutil
import subprocess
import time

from . import measure

HOSTS = 500
LATENCY_S = 2
PER_HOST = 8
PAGES_PER_HOST = 320


def run(bins, work, options, problems):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    possible = HOSTS * PER_HOST / LATENCY_S
    runs = [crawl(bins, work, problems) for _ in range(min(options.runs, 3))]
    pages = HOSTS * PAGES_PER_HOST
    wall, peak = measure.median(runs, "wall_s"), measure.median(runs, "peak_mib")
    result = {
        "pages": pages,
        "possible_per_s": possible,
        "wall_s": wall,
        "pages_per_s": round(pages / wall, 1),
        "share": round(pages / wall / possible, 3),
        "cpu_s": measure.median(runs, "cpu_s"),
        "peak_mib": peak,
        "processes": runs[0]["processes"],
    }
    print(f"\n{HOSTS} hosts, {LATENCY_S} s an answer, {PER_HOST} at once a host: medians of {len(runs)}")
    head = ["pages", "wall s", "pages/s", "of the possible", "CPU s", "peak MiB, all processes"]
    row = [pages, f"{wall:.1f}", f"{pages / wall:.0f}", f"{result['share']:.1%}"]
    measure.table(head, [[*row, f"{result['cpu_s']:.1f}", f"{peak:.0f}"]])
    return result


def crawl(bins, work, problems):
    folder = work / "hosts"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    site = [bins / "examples" / "site", "star", str(PAGES_PER_HOST), "--listen", "0.0.0.0"]
    site += ["--latency", str(LATENCY_S * 1000)]
    server = subprocess.Popen(site, stdout=subprocess.PIPE, text=True)
    port = server.stdout.readline().rsplit(":", 1)[1].strip()
    starts = [f"http://127.1.{n // 250}.{n % 250 + 1}:{port}/" for n in range(HOSTS)]
    (folder / "slow.json").write_text(json.dumps({"name": "slow", "start_urls": starts}))
    concurrency = ["-c", str(HOSTS * PER_HOST), "--per-host", str(PER_HOST)]
    try:
        result = measure.run([bins / "crawl-run", "slow.json", *concurrency], folder)
    finally:
        server.kill()
        server.wait()
    (output,) = folder.glob("data/default/slow/crawls/*.jsonl")
    with open(output, "rb") as lines:
        good = sum(b'"status":200' in line for line in lines)
    if good != HOSTS * PAGES_PER_HOST:
        problems.append(f"hosts: {good} pages with status 200, not {HOSTS * PAGES_PER_HOST}")
    print(f"hosts: {result['wall_s']:.1f} s", flush=True)
    time.sleep(1)
    return result
