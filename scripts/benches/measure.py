"""Runs a command and measures it: wall time, and CPU time and peak memory of every process."""

import os
import pathlib
import platform
import statistics
import subprocess
import threading
import time

TICK = os.sysconf("SC_CLK_TCK")
EVERY_S = 0.02


def build(root):
    """Builds what is measured."""
    cargo = ["cargo", "build", "--release"]
    subprocess.run([*cargo, "--workspace", "--bins"], cwd=root, check=True)
    subprocess.run([*cargo, "-p", "crawl-run", "--examples"], cwd=root, check=True)


def machine():
    """What it was measured on."""
    info = pathlib.Path("/proc/cpuinfo").read_text()
    models = {line.split(":", 1)[1].strip() for line in info.splitlines() if "model name" in line}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": ", ".join(sorted(models)),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1),
        "kernel": platform.release(),
        "date": time.strftime("%Y-%m-%d"),
    }


class Watch:
    """Looks at a process and its descendants while they run."""

    def __init__(self, pid):
        self.pid = pid
        self.processes = {}
        self.peak_total_kib = 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.loop, daemon=True)
        self.thread.start()

    def loop(self):
        while not self.stop.wait(EVERY_S):
            self.look()

    def look(self):
        total = 0
        todo = [self.pid]
        while todo:
            pid = todo.pop()
            try:
                proc = pathlib.Path(f"/proc/{pid}")
                status = dict(
                    line.split(":\t", 1) for line in (proc / "status").read_text().splitlines()
                )
                stat = (proc / "stat").read_text().rsplit(")", 1)[1].split()
                for task in (proc / "task").iterdir():
                    todo += map(int, (task / "children").read_text().split())
            except (OSError, ValueError):
                continue
            if "VmHWM" not in status:
                continue
            total += int(status["VmRSS"].split()[0])
            self.processes[pid] = {
                "name": status["Name"],
                "peak_mib": round(int(status["VmHWM"].split()[0]) / 1024, 1),
                "cpu_s": (int(stat[11]) + int(stat[12])) / TICK,
            }
        self.peak_total_kib = max(self.peak_total_kib, total)

    def end(self):
        self.stop.set()
        self.thread.join()


def run(command, cwd, env=None, stdin=None, stdout=subprocess.DEVNULL, codes=(0,), before=None):
    """Runs it to its end. `before` is called with the process while it runs."""
    errors = pathlib.Path(cwd) / "stderr.txt"
    with open(errors, "wb") as stderr:
        start = time.perf_counter()
        child = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=stdin, stdout=stdout, stderr=stderr
        )
        watch = Watch(child.pid)
        if before:
            before(child)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        watch.end()
    if child.returncode not in codes:
        tail = errors.read_text(errors="replace")[-2000:]
        raise SystemExit(f"{' '.join(map(str, command))}\nexit {child.returncode}:\n{tail}")
    return {
        "wall_s": round(wall, 4),
        # Of all of its processes: a parent that waits for its children has their times too.
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 3),
        "peak_mib": round(max(watch.peak_total_kib, usage.ru_maxrss) / 1024, 1),
        "processes": list(watch.processes.values()),
        "stderr": errors.read_text(errors="replace"),
    }


def median(runs, key):
    return statistics.median(run[key] for run in runs)


def table(head, rows):
    """Prints rows under their heads; the first column to the left, numbers to the right."""
    rows = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[n]) for row in rows) for n in range(len(head))]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  ".join(cells).rstrip())
