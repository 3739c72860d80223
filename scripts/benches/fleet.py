"""One crawl of several workers over a Redis Cluster: intake, what a URL costs the engine, latency, takeover, scaling."""

import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import time

from . import measure

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LINKS = 100
HOSTS = 2000
PARTS = 64
PORT = 7300
PAGES = 60_000
LATENCY_MS = 200
# Each worker's; four of them are far from what two cores can do.
CONCURRENCY = 48
# Of sites that one worker crawls together with others, each with its own address.
SITES = 240
# A partition is taken over after 6 s, and new members are believed at once.
SETTLED_S = 10
# Links of a page, how many of a hundred lead to other hosts, and which share of the URLs. What was sent to other
# partitions is dead in a journal once it is there, so that journals with many letters are rewritten; nothing in the
# first is dead, so that none is.
TAKEOVERS = {"all pending": (LINKS, 0, 1), "half finished, rewritten": (2, 100, 0.2)}
NEEDS = "two cores that nothing else uses, 6 GiB of memory, 10 GB of disk, redis-server 7.0 and ports 7300 and 17300"


def run(bins, work, options, problems):
    refuse_what_is_in_the_way(work)
    folder = work / "fleet"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    report = {}
    urls = options.urls // 2
    try:
        for name, processes, share in [
            ("1 process", 1, 0),
            ("2 processes", 2, 0),
            ("4 processes", 4, 0),
            ("1 process, half of the links to other hosts", 1, 50),
        ]:
            runs = [
                intake(bins, folder, urls, processes, share, problems)
                for _ in range(min(options.runs, 3))
            ]
            report[name] = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        report["latency_ms"] = latency(bins, folder)
        report["takeover"] = {
            name: takeover(bins, folder, int(urls * part), links, share, problems)
            for name, (links, share, part) in TAKEOVERS.items()
        }
        report["scaling"] = scaling(bins, folder, options.pages, problems)
    finally:
        stop(folder)
        shutil.rmtree(folder, ignore_errors=True)
    show(report, urls)
    return report


def refuse_what_is_in_the_way(work):
    for program in ("redis-server", "redis-cli"):
        if not shutil.which(program):
            raise SystemExit(f"bench fleet: {program} is not installed; it needs {NEEDS}")
    before = busy()
    time.sleep(2)
    share = (busy() - before) / 2 / os.cpu_count()
    if share > 0.25:
        raise SystemExit(f"bench fleet: {share:.0%} of the machine is busy; it needs {NEEDS}")
    if shutil.disk_usage(work).free < 10e9:
        raise SystemExit(f"bench fleet: too little disk is free; it needs {NEEDS}")


def busy():
    """Seconds that all cores worked."""
    words = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _, _, irq, softirq = map(int, words[:7])
    return (user + nice + system + irq + softirq) / measure.TICK


def script(*words):
    done = subprocess.run(
        [ROOT / "scripts" / "cluster", *map(str, words)], stdout=subprocess.PIPE, text=True
    )
    if done.returncode != 0:
        raise SystemExit(f"bench fleet: scripts/cluster {words[0]} ended with {done.returncode}")
    return done.stdout.strip()


def stop(folder):
    if (folder / "cluster").exists():
        script("stop", folder / "cluster")
        shutil.rmtree(folder / "cluster")


def fresh(folder):
    """A new cluster's URL."""
    stop(folder)
    return script("start", folder / "cluster", "--port", PORT)


def info(node, section):
    command = ["redis-cli", "-h", f"127.0.0.1{node}", "-p", str(PORT), "info", section]
    lines = subprocess.check_output(command, text=True).splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def cost(folder):
    """Memory of the primaries, bytes of their files, and CPU seconds of all nodes."""
    memory = disk = cpu = 0
    for node in range(1, 7):
        times = info(node, "cpu")
        cpu += float(times["used_cpu_user"]) + float(times["used_cpu_sys"])
        if info(node, "replication")["role"] == "master":
            memory += int(info(node, "memory")["used_memory"])
            files = folder.joinpath("cluster", str(node), "appendonlydir").iterdir()
            disk += sum(file.stat().st_size for file in files)
    return memory, disk, cpu


def prepare(folder, share, links):
    """The spider, and a fetcher that needs no network."""
    starts = [f"https://www.host-{host:06}.example/" for host in range(HOSTS)]
    spider = {
        "name": "fleet",
        "start_urls": starts,
        "allowed_domains": ["example"],
        "settings": {
            "CONCURRENT_REQUESTS": 512,
            "CONCURRENT_REQUESTS_PER_DOMAIN": 4,
            "AUTOTHROTTLE_ENABLED": False,
            "ROBOTSTXT_OBEY": False,
        },
    }
    (folder / "fleet.json").write_text(json.dumps(spider))
    (folder / "gate").unlink(missing_ok=True)
    return f"links {links} {HOSTS} {share} {folder}/gate"


def start(bins, folder, url, name, *words, env=None):
    command = [bins / "crawl-run", "fleet.json", "--store", url, "--worker", name]
    command += ["--data-dir", name, "-v", *map(str, words)]
    with open(folder / f"{name}.txt", "wb") as stderr:
        return subprocess.Popen(
            command, cwd=folder, stderr=stderr, env=env, start_new_session=True
        )


def fed(bins, folder, share, links=LINKS):
    fetcher = folder / "fetcher"
    fetcher.write_text(f"#!/bin/sh\nexec {bins}/examples/feed {prepare(folder, share, links)}\n")
    fetcher.chmod(0o755)
    return {**os.environ, "CRAWL_FETCH": str(fetcher)}


def end(folder, name, worker, want, problems):
    code = worker.wait()
    if code != want:
        said = (folder / f"{name}.txt").read_text(errors="replace")[-1500:]
        problems.append(f"fleet: {name} ended with {code}, not {want}: {said}")


def intake(bins, folder, urls, processes, share, problems):
    url = fresh(folder)
    env = fed(bins, folder, share)
    each = urls // LINKS // processes
    names = [f"w{n}" for n in range(processes)]
    workers = {name: start(bins, folder, url, name, "--max-pages", each, env=env) for name in names}
    time.sleep(SETTLED_S)
    before = cost(folder)
    begun = time.perf_counter()
    (folder / "gate").touch()
    for name, worker in workers.items():
        end(folder, name, worker, 4, problems)
    wall = time.perf_counter() - begun
    memory, disk, cpu = (after - was for after, was in zip(cost(folder), before))
    records = 0
    for part in folder.glob("w*/default/fleet/crawls/*.d/*.jsonl"):
        with open(part, "rb") as lines:
            records += sum(1 for _ in lines)
    if records < each * processes:
        problems.append(f"fleet: {records} records, not {each * processes}")
    for name in names:
        shutil.rmtree(folder / name)
    count = records * LINKS
    print(f"fleet: {processes} processes, {count / wall / 1e6:.2f} M new URLs/s", flush=True)
    return {
        "urls": count,
        "urls_per_s": round(count / wall),
        "engine_bytes_per_url": round(memory / count, 1),
        "engine_disk_per_url": round(disk / count, 1),
        "engine_cpu_us_per_url": round(cpu / count * 1e6, 2),
    }


def latency(bins, folder):
    url = fresh(folder)
    told = subprocess.check_output([bins / "examples" / "depot", url, "1000", "1"], text=True)
    return json.loads(told)


def rewritten():
    """How many partitions have a journal that was."""
    keys = set()
    for node in range(1, 7):
        scan = ["redis-cli", "-h", f"127.0.0.1{node}", "-p", str(PORT)]
        scan += ["--scan", "--pattern", "*:base:*"]
        keys.update(subprocess.check_output(scan, text=True).split())
    return len(keys)


def takeover(bins, folder, urls, links, share, problems):
    """A worker with all of the URLs is gone; another one takes them, until its copies stand still."""
    url = fresh(folder)
    env = fed(bins, folder, share, links)
    (folder / "gate").touch()
    worker = start(bins, folder, url, "first", "--max-pages", urls // links, env=env)
    end(folder, "first", worker, 4, problems)
    (folder / "gate").unlink()
    told = subprocess.check_output([bins / "crawl-ckpt", "--store", url, "ls", "--json"], text=True)
    crawl, bases = json.loads(told), rewritten()
    worker = start(bins, folder, url, "second", env=env)
    journals = folder / "second/default/fleet/fleet/second"
    sizes = None
    # Until all journals are there, and nothing is added to them.
    while True:
        time.sleep(3)
        files = [file for file in journals.glob("part-*/*") if file.is_file()]
        told = sorted((str(file), file.stat().st_size) for file in files)
        if len(list(journals.glob("part-*"))) >= PARTS and told == sizes:
            break
        sizes = told
        if worker.poll() is not None:
            problems.append(f"fleet: the takeover ended with {worker.returncode}")
            break
    times = [file.stat().st_mtime for file in files]
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    for name in ("first", "second"):
        shutil.rmtree(folder / name)
    return {
        "urls": crawl["seen"],
        "finished": crawl["done"] + crawl["failed"],
        "bases": bases,
        "bytes": sum(size for _, size in told),
        "s": round(max(times) - min(times), 3) if times else None,
    }


def scaling(bins, folder, pages, problems):
    walls = {}
    for processes in (1, 4):
        url = fresh(folder)
        each = pages // SITES
        site = [bins / "examples" / "site", "star", str(each), "--listen", "0.0.0.0"]
        site += ["--latency", str(LATENCY_MS)]
        server = subprocess.Popen(site, stdout=subprocess.PIPE, text=True)
        port = server.stdout.readline().rsplit(":", 1)[1].strip()
        starts = [f"http://127.1.{n // 250}.{n % 250 + 1}:{port}/" for n in range(SITES)]
        (folder / "fleet.json").write_text(json.dumps({"name": "fleet", "start_urls": starts}))
        names = [f"w{n}" for n in range(processes)]
        begun = time.perf_counter()
        try:
            workers = {n: start(bins, folder, url, n, "-c", CONCURRENCY) for n in names}
            for name, worker in workers.items():
                end(folder, name, worker, 0, problems)
        finally:
            server.kill()
            server.wait()
        walls[processes] = round(time.perf_counter() - begun, 2)
        urls, records = set(), 0
        for output in folder.glob("w*/default/fleet/crawls/*.jsonl"):
            with open(output) as lines:
                for line in lines:
                    records += 1
                    urls.add(json.loads(line)["url"])
        if records != each * SITES or len(urls) != records:
            problems.append(f"fleet: {records} records of {len(urls)} pages, not {each * SITES}")
        for name in names:
            shutil.rmtree(folder / name)
        print(f"fleet: {processes} workers, {pages} pages in {walls[processes]} s", flush=True)
    # All pages, divided by what the workers may have under way.
    least = pages * LATENCY_MS / 1000 / CONCURRENCY
    return {
        "pages": pages,
        "wall_s": walls,
        "least_s": {n: round(least / n, 2) for n in walls},
        "times": round(walls[1] / walls[4], 2),
    }


def show(report, urls):
    print(f"\nA Redis Cluster of 3 primaries and 3 replicas, synced each write; {urls:,} URLs of 78 bytes")
    head = ["", "M new URLs/s", "engine: B a URL", "B on disk", "CPU us"]
    keys = ("engine_bytes_per_url", "engine_disk_per_url", "engine_cpu_us_per_url")
    rows = [
        [name, f"{of['urls_per_s'] / 1e6:.2f}", *(f"{of[key]}" for key in keys)]
        for name, of in report.items()
        if "urls_per_s" in of
    ]
    measure.table(head, rows)
    print(f"lease, commit and 64 renewals, ms: {report['latency_ms']}")
    for name, of in report["takeover"].items():
        size = f"{of['bytes'] / 1e6:,.0f} MB, {of['bases']} bases"
        print(f"takeover of {of['urls']:,} URLs, {name}: {of['s']} s ({size})")
    scaled = report["scaling"]
    print(f"4 workers against 1: {scaled['times']} times ({scaled})")
