"""Who crawls: ours in three ways, wget2 in three, Scrapy."""

import json
import os
import pathlib
import shutil
import subprocess

# A file system in memory.
MEMORY = pathlib.Path("/dev/shm")
SPIDER = pathlib.Path(__file__).with_name("scrapy_docs.py")


class Ours:
    """crawl-run with a spider file; checks that the output has each page once."""

    def __init__(self, name, bins, checkpoint=True, tuned=True):
        self.name = name
        self.bins = bins
        self.checkpoint = checkpoint
        self.tuned = tuned

    def prepare(self, site, dir):
        spider = {"name": "docs", "start_urls": [site.start]}
        if site.allow:
            spider["rules"] = [{"allow": [site.allow]}]
        (dir / "docs.json").write_text(json.dumps(spider))

    def command(self, site, dir):
        command = [self.bins / "crawl-run", "docs.json"]
        if self.tuned:
            command += ["-c", "32", "--per-host", "32"]
        if not self.checkpoint:
            command += ["--limit", "1000000000", "-o", "pages.jsonl"]
        return command

    def check(self, dir, pages):
        """What is wrong with the output, if the site sent these pages."""
        if self.checkpoint and (dir / "data/default/docs/checkpoint").exists():
            return "the checkpoint is still there"
        found = ["/" + record["url"].split("/", 3)[3] for record in self.records(dir)]
        if len(found) != len(set(found)):
            return f"{len(found) - len(set(found))} records are doubled"
        if set(found) != pages:
            return f"{len(set(found) ^ pages)} pages differ between output and server log"
        return None

    def records(self, dir):
        """The records of pages."""
        crawls = dir.glob("data/default/docs/crawls/*.jsonl")
        for file in crawls if self.checkpoint else [dir / "pages.jsonl"]:
            with open(file, "rb") as lines:
                for line in lines:
                    record = json.loads(line)
                    kind = record.get("content_type", "")
                    if record.get("status") == 200 and kind.startswith("text/html"):
                        yield record


class Wget2:
    """wget2 with 32 threads. It keeps the pages in memory, or throws them away, which is all
    that ours does with them; `pages_only` keeps it from fetching scripts and images too.
    """

    def __init__(self, name, keeps=False, pages_only=False):
        self.name = name
        self.program = shutil.which("wget2")
        self.keeps = MEMORY / f"bench-{os.getpid()}" if keeps else None
        self.pages_only = pages_only

    def prepare(self, site, dir):
        self.clear()

    def command(self, site, dir):
        command = [self.program, "-q", "-r", "-np", "-l", "inf", "--max-threads=32"]
        if self.pages_only:
            command += ["--ignore-tags=img,script,link"]
        command += ["-P", self.keeps] if self.keeps else ["-O", "/dev/null"]
        return [*command, site.start]

    # 8: a server sent an error for some file, as it does for the docs' missing scripts.
    codes = (0, 8)

    def check(self, dir, pages):
        self.clear()
        return None

    def clear(self):
        if self.keeps:
            shutil.rmtree(self.keeps, ignore_errors=True)


class Scrapy:
    """Scrapy with JOBDIR, its checkpoint, in a virtual environment of its own."""

    name = "Scrapy, JOBDIR"

    def __init__(self, work):
        self.venv = work / "venv"
        self.program = self.venv / "bin" / "scrapy"
        if not self.program.exists():
            subprocess.run(["python3", "-m", "venv", self.venv], check=False)
            pip = [self.venv / "bin" / "pip", "install", "-q", "scrapy>=2.13"]
            subprocess.run(pip, check=False)

    def prepare(self, site, dir):
        pass

    def command(self, site, dir):
        return [
            self.program, "runspider", SPIDER, "-s", "JOBDIR=job", "-o", "out.jsonl",
            "-a", f"start={site.start}", "-a", f"allow={site.allow or ''}",
        ]  # fmt: skip

    def check(self, dir, pages):
        return None


def line_up(bins, work, with_scrapy):
    """All that can run here; says loudly who cannot."""
    crawlers = [
        Ours("ours, checkpoint", bins),
        Ours("ours, no checkpoint", bins, checkpoint=False),
        Ours("ours, default settings", bins, tuned=False),
    ]
    if shutil.which("wget2"):
        crawlers += [
            Wget2("wget2 into memory", keeps=True),
            Wget2("wget2 to nowhere"),
            Wget2("wget2 to nowhere, pages only", pages_only=True),
        ]
    else:
        print("LEFT OUT: wget2 is not installed: apt-get install wget2")
    if with_scrapy:
        scrapy = Scrapy(work)
        if scrapy.program.exists():
            crawlers.append(scrapy)
        else:
            print("LEFT OUT: Scrapy could not be installed")
    return crawlers
