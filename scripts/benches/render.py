"""Pages of a React app: crawl-fetch --render beside Playwright, by pages a CPU second and memory."""

import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import threading
import zlib

from . import measure
from .nginx import Nginx

PAGES = 100
TABS = (1, 2, 4)
NAIVE = pathlib.Path(__file__).with_name("playwright_pages.py")

SHELL = """<!DOCTYPE html><html><head><meta charset=utf-8><link rel=stylesheet href=/app.css></head>
<body><div id=root></div><script src=/react.js></script><script src=/react-dom.js></script>
<script src=/app.js></script></body></html>"""

STYLE = """* { box-sizing: border-box } body { font: 16px sans-serif }
.card { float: left; width: 30%; margin: 1%; border: 1px solid #ccc; border-radius: 8px }
.card img { width: 100%; height: 120px }"""

APP = """
const h = React.createElement;
function Card({thing}) {
  const [tags, show] = React.useState(false);
  React.useEffect(() => { const t = setTimeout(() => show(true), 20); return () => clearTimeout(t); }, []);
  return h('li', {className: 'card'},
    h('a', {href: '/page/' + thing.id + '/'}, h('h2', null, thing.name)),
    h('img', {src: '/img/' + thing.id % 20 + '.png'}),
    h('p', null, thing.price),
    tags && h('ul', {className: 'tags'}, thing.tags.map(tag => h('li', {key: tag}, h('a', {href: '/tag/' + tag}, tag)))));
}
function App() {
  const [data, take] = React.useState(null);
  React.useEffect(() => {
    fetch('/data/' + location.pathname.split('/')[2] + '.json').then(it => it.json()).then(data => {
      document.title = data.title;
      take(data);
    });
  }, []);
  if (!data) return h('p', null, 'loading');
  return h('main', null, h('h1', null, data.title),
    h('ul', null, data.things.map(thing => h(Card, {thing, key: thing.id}))));
}
ReactDOM.createRoot(document.getElementById('root')).render(h(App));
"""


def picture(seed):
    """A PNG of 320 x 180, noisy enough to have the size of a photograph."""
    dice = random.Random(seed)
    rows = []
    for y in range(180):
        row = (channel for x in range(320) for channel in (x // 2 + dice.randrange(8), y, seed * 9))
        rows.append(b"\0" + bytes(value & 255 for value in row))
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", 320, 180, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"".join(rows))),
        (b"IEND", b""),
    ]
    png = b"\x89PNG\r\n\x1a\n"
    for kind, data in parts:
        png += struct.pack(">I", len(data)) + kind + data
        png += struct.pack(">I", zlib.crc32(kind + data))
    return png


def make_site(work):
    """The files of the app; `None` when React cannot be had."""
    root = work / "render-site"
    if (root / "react-dom.js").exists():
        return root
    shutil.rmtree(root, ignore_errors=True)
    (root / "data").mkdir(parents=True)
    (root / "img").mkdir()
    for number in range(PAGES):
        things = [
            {
                "id": (number * 30 + k) % PAGES,
                "name": f"Thing {k} of {number}",
                "price": f"{k}.99",
                "tags": [f"t{(number * 7 + k + j) % 50}" for j in range(5)],
            }
            for k in range(30)
        ]
        data = {"title": f"Page {number}", "things": things}
        (root / "data" / f"{number}.json").write_text(json.dumps(data))
        (root / "page" / str(number)).mkdir(parents=True)
        (root / "page" / str(number) / "index.html").write_text(SHELL)
    for number in range(20):
        (root / "img" / f"{number}.png").write_bytes(picture(number))
    (root / "app.js").write_text(APP)
    (root / "app.css").write_text(STYLE)
    for name in ("react", "react-dom"):
        file = f"package/umd/{name}.production.min.js"
        packed = ["npm", "pack", "--silent", f"{name}@18.3.1"]
        try:
            archive = subprocess.check_output(packed, cwd=root, text=True).strip()
        except (OSError, subprocess.CalledProcessError):
            return None
        text = subprocess.check_output(["tar", "xOzf", archive, file], cwd=root)
        (root / f"{name}.js").write_bytes(text)
    return root


class Ours:
    def __init__(self, bins, tabs):
        self.name = f"ours, {tabs}"
        self.command = [bins / "crawl-fetch", "--render", "--render-tabs", str(tabs)]
        self.command += ["--per-host", "16"]
        if os.geteuid() == 0:
            self.command.append("--no-sandbox")


class Playwright:
    def __init__(self, python, browser, tabs, contexts):
        words = {"own": "a context each", "shared": "one context"}
        self.name = f"Playwright, {tabs}, {words[contexts]}"
        self.command = [python, NAIVE, browser, str(tabs), contexts]


def playwright(work):
    """A Python that has it, and the browser for it; nothing when there is none."""
    browser = os.environ.get("CRAWL_BROWSER") or shutil.which("chromium-headless-shell")
    venv = work / "playwright"
    if not (venv / "bin" / "python").exists():
        subprocess.run(["python3", "-m", "venv", venv], check=False)
        subprocess.run([venv / "bin" / "pip", "install", "-q", "playwright"], check=False)
    python = venv / "bin" / "python"
    check = subprocess.run([python, "-c", "import playwright"], check=False, capture_output=True)
    if check.returncode == 0 and browser:
        return python, browser
    print("LEFT OUT: Playwright could not be installed")
    return None


class Memory:
    """The memory of processes while they run, what they share counted once."""

    def __init__(self):
        self.peak_mib = 0
        self.stop = threading.Event()

    def watch(self, child):
        self.thread = threading.Thread(target=self.loop, args=(child.pid,), daemon=True)
        self.thread.start()

    def loop(self, root):
        while not self.stop.wait(0.25):
            todo, total = [root], 0
            while todo:
                pid = todo.pop()
                proc = pathlib.Path(f"/proc/{pid}")
                try:
                    for task in (proc / "task").iterdir():
                        todo += map(int, (task / "children").read_text().split())
                    lines = (proc / "smaps_rollup").read_text().splitlines()
                except OSError:
                    continue
                total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
            self.peak_mib = max(self.peak_mib, round(total / 1024, 1))

    def end(self):
        self.stop.set()
        self.thread.join()


def run(bins, work, options, problems):
    root = make_site(work)
    if not root:
        print("LEFT OUT: rendering: React cannot be had with npm")
        return {}
    nginx = Nginx(work, root)
    contenders = [Ours(bins, tabs) for tabs in TABS]
    if naive := playwright(work):
        contenders += [Playwright(*naive, tabs, "own") for tabs in TABS]
        contenders.append(Playwright(*naive, 4, "shared"))
    urls = "".join(f"{nginx.url}/page/{number}/\n" for number in range(PAGES))
    (work / "urls.txt").write_text(urls)
    runs = {contender.name: [] for contender in contenders}
    wanted = {}
    try:
        for round in range(options.runs + 1):
            for contender in contenders:
                result, found = one(contender, work)
                if (wanted := wanted or found) != found or len(found) != PAGES:
                    problems.append(f"render: {contender.name}, round {round}: other links")
                # The first round warms the page cache.
                if round > 0:
                    runs[contender.name].append(result)
                    print(f"render {round}: {contender.name} {result['cpu_s']:.2f} CPU s", flush=True)
    finally:
        nginx.stop()
    return report(runs)


def one(contender, work):
    memory = Memory()
    with open(work / "urls.txt") as urls, open(work / "links.jsonl", "w+") as links:
        watched = measure.run(
            contender.command, work, stdin=urls, stdout=links, before=memory.watch
        )
        memory.end()
        links.seek(0)
        pages = map(json.loads, links)
        found = {page["url"]: sorted(page.get("links", [])) for page in pages}
    result = {
        "wall_s": watched["wall_s"],
        # A browser that is killed has no parent that waits for all of it: each process by itself.
        "cpu_s": round(sum(process["cpu_s"] for process in watched["processes"]), 2),
        "peak_mib": memory.peak_mib,
    }
    return result, found


def report(runs):
    keys = ("wall_s", "cpu_s", "peak_mib")
    medians = {
        name: {key: measure.median(results, key) for key in keys} for name, results in runs.items()
    }
    for of in medians.values():
        of["pages_cpu_s"] = round(PAGES / of["cpu_s"], 2)
        of["pages_s"] = round(PAGES / of["wall_s"], 2)
    count = len(next(iter(runs.values())))
    print(f"\n{PAGES} pages of a React app, N at once: medians of {count}, interleaved")
    columns = ("pages_cpu_s", "pages_s", "cpu_s", "peak_mib")
    rows = [[name, *(f"{of[key]:.1f}" for key in columns)] for name, of in medians.items()]
    measure.table(["", "pages/CPU s", "pages/s", "CPU s", "peak MiB"], rows)
    result = {"pages": PAGES, "medians": medians, "runs": runs}
    ratios = {
        name: round(medians[f"ours, {tabs}"]["pages_cpu_s"] / of["pages_cpu_s"], 2)
        for name, of in medians.items()
        for tabs in TABS
        if name.startswith(f"Playwright, {tabs},")
    }
    for name, ratio in ratios.items():
        print(f"{ratio} times as many pages a CPU second as {name}")
    return result | {"ratios": ratios}
