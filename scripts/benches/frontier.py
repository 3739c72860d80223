"""crawl-frontier alone: bulk loads, memory, disk, and the time to the first request of a resume."""

import os
import shutil
import signal
import subprocess
import time

from . import measure

URLS_PER_HOST = 100
IN_FLIGHT = 4096


def run(bins, work, options, problems):
    sizes = sorted({options.urls // 10, options.urls})
    report = {size: load(bins, work, size, options.runs, problems) for size in sizes}
    small, large = (report[size] for size in sizes)
    growth = {
        name: round(small[rate] / large[rate], 2)
        for name, rate in [("add", "add_per_s"), ("duplicates", "duplicates_per_s")]
    }
    heads = [f"{size:,} URLs" for size in sizes]
    print(f"\ncrawl-frontier: medians of {options.runs}")
    rows = [
        ("add, new, durable: M/s", "add_per_s", 1e6, 2),
        ("add, duplicates, job opened: M/s", "duplicates_per_s", 1e6, 2),
        ("  the same without opening: M/s", "duplicates_net_per_s", 1e6, 2),
        ("open: s", "open_s", 1, 2),
        ("peak memory of add a URL: B", "memory_per_url", 1, 1),
        ("disk a pending URL: B", "disk_per_url", 1, 1),
        ("serve, answered at once: requests/s", "answers_per_s", 1, 0),
        ("half done: seconds to first request, image", "resume_s", 1, 3),
        ("  the same, image removed", "replay_s", 1, 3),
        ("  memory of serve then: MiB", "serve_mib", 1, 0),
    ]
    table = [
        [what, *(f"{report[size][key] / scale:.{digits}f}" for size in sizes)]
        for what, key, scale, digits in rows
    ]
    measure.table(["", *heads], table)
    print(f"cost a URL, {heads[1]} against {heads[0]}: {growth}")
    return {**{str(size): result for size, result in report.items()}, "growth": growth}


def load(bins, work, size, runs, problems):
    """All figures at one size."""
    folder = work / "frontier"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    job = folder / "job"
    urls = folder / "urls"
    with open(urls, "wb") as file:
        hosts = max(size // URLS_PER_HOST, 1)
        feed = [bins / "examples" / "feed", "urls", str(size), str(hosts)]
        subprocess.run(feed, stdout=file, check=True)

    def add(source, expect):
        with open(source, "rb") as stdin:
            command = [bins / "crawl-frontier", "add", "--job", job]
            result = measure.run(command, folder, stdin=stdin)
        if expect not in result["stderr"]:
            problems.append(f"add of {size}: {expect!r} expected, {result['stderr']!r} said")
        return result

    new, again, nothing = [], [], []
    for n in range(runs):
        remove(job)
        new.append(add(urls, f"added {size}, duplicate 0, invalid 0"))
        again.append(add(urls, f"added 0, duplicate {size}, invalid 0"))
        nothing.append(add("/dev/null", "added 0, duplicate 0, invalid 0"))
        print(
            f"{size:,} {n + 1}: new {new[-1]['wall_s']:.2f} s, "
            f"duplicates {again[-1]['wall_s']:.2f} s, nothing {nothing[-1]['wall_s']:.2f} s",
            flush=True,
        )
    disk = sum(file.stat().st_size for file in job.iterdir())
    urls.unlink()

    half = size // 2
    answers_s = answer(bins, folder, job, half)
    check_half(bins, job, size, half, problems)
    with_image = [first_request(bins, folder, job) for _ in range(runs)]
    # A small job is read faster than an image of it.
    if size >= 1_000_000 and not (job / "image").exists():
        problems.append("a clean pause left no image")
    without = []
    for _ in range(runs):
        (job / "image").unlink(missing_ok=True)
        without.append(first_request(bins, folder, job))
    check_half(bins, job, size, half, problems)
    for name, results in [("image", with_image), ("no image", without)]:
        firsts = ", ".join(f"{result['first_s']:.3f}" for result in results)
        print(f"{size:,} first request after a resume, {name}: {firsts} s", flush=True)
    remove(job)

    opening = measure.median(nothing, "wall_s")
    duplicates = measure.median(again, "wall_s")
    return {
        "hosts": hosts,
        "add_per_s": size / measure.median(new, "wall_s"),
        "add_cpu_s": measure.median(new, "cpu_s"),
        "duplicates_per_s": size / duplicates,
        "duplicates_net_per_s": size / max(duplicates - opening, 1e-3),
        "open_s": opening,
        "memory_per_url": measure.median(new, "peak_mib") * 2**20 / size,
        "disk_per_url": disk / size,
        "answers_per_s": half / answers_s,
        "resume_s": measure.median(with_image, "first_s"),
        "replay_s": measure.median(without, "first_s"),
        "serve_mib": measure.median(with_image, "peak_mib"),
    }


def remove(job):
    shutil.rmtree(job, ignore_errors=True)
    (job.parent / f"{job.name}.lock").unlink(missing_ok=True)


def serve(bins, job, *options, **pipes):
    command = [bins / "crawl-frontier", "serve", "--job", job, "--in-flight", str(IN_FLIGHT)]
    return subprocess.Popen([*command, "--grace", "0s", "-q", *options], **pipes)


def answer(bins, folder, job, count):
    """Serves until so many requests were answered, then pauses; gives the seconds."""
    start = time.perf_counter()
    frontier, fetcher, _ = answered(bins, folder, job, count)
    seconds = time.perf_counter() - start
    pause(frontier)
    fetcher.wait()
    return seconds


def answered(bins, folder, job, count, *options):
    """Serves until so many requests were answered: the two processes, and what the one that answers said."""
    errors = folder / "answers.txt"
    frontier = serve(bins, job, *options, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    feed = [bins / "examples" / "feed", "answers", str(count)]
    with open(errors, "wb") as stderr:
        fetcher = subprocess.Popen(
            feed, stdin=frontier.stdout, stdout=frontier.stdin, stderr=stderr
        )
    frontier.stdin.close()
    frontier.stdout.close()
    while not errors.read_text().endswith(" ms\n"):
        if frontier.poll() is not None:
            raise SystemExit(f"serve ended with {frontier.returncode}")
        time.sleep(0.01)
    return frontier, fetcher, errors.read_text()


def pause(frontier):
    frontier.send_signal(signal.SIGTERM)
    if frontier.wait() != 143:
        raise SystemExit(f"serve ended with {frontier.returncode}, not 143")


def check_half(bins, job, size, half, problems):
    command = [bins / "crawl-frontier", "stat", "--job", job, "--json"]
    figures = subprocess.check_output(command, text=True)
    expect = f'"done":{half},'
    if expect not in figures or f'"seen":{size}' not in figures:
        problems.append(f"stat of {size}, half done, says {figures.strip()}")


def first_request(bins, folder, job, *options):
    """Seconds from the start of `serve` to its first request; pauses it then."""
    start = time.perf_counter()
    frontier = serve(bins, job, *options, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    watch = measure.Watch(frontier.pid)
    os.read(frontier.stdout.fileno(), 1)
    first = time.perf_counter() - start
    watch.look()
    watch.end()
    frontier.send_signal(signal.SIGTERM)
    while os.read(frontier.stdout.fileno(), 1 << 16):
        pass
    pause(frontier)
    peak = max(p["peak_mib"] for p in watch.processes.values())
    return {"first_s": first, "peak_mib": peak}
