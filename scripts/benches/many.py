"""1,000 hosts of 12 pages each: one crawl over all, plain and over TLS, and a batch of them, beside wget2."""

import json
import resource
import shutil
import subprocess

from . import measure
from .nginx import Server, free_port, new_folder

HOSTS = 1000
PAGES = 12
JOBS = 16
# As many hosts as one crawl has, the first page of each links to the others.
CONFIG = """
daemon off; worker_processes 1; worker_rlimit_nofile {files};
pid {dir}/pid; error_log {dir}/error.log; {user}
events {{ worker_connections {connections}; }}
http {{
  types {{ text/html html; }}
  log_format asked '$status $connection $ssl_session_reused $server_addr$request_uri';
  access_log {dir}/access.log asked buffer=64k flush=100ms;
  keepalive_requests 100000; keepalive_timeout 60;
  ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem;
  ssl_session_cache none; ssl_session_tickets on;
  client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
  uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
  server {{ listen 0.0.0.0:{port} backlog=4096; listen 0.0.0.0:{secure} ssl backlog=4096;
           root {dir}/site; index index.html; }}
}}
"""


class Hosts(Server):
    """nginx on all loopback addresses, with and without TLS."""

    def __init__(self, work):
        dir = new_folder(work, "many")
        (dir / "site").mkdir()
        text = "<p>" + "Some words of text. " * 100
        links = "".join(f'<a href="/{n}.html">{n}</a>\n' for n in range(1, PAGES))
        (dir / "site/index.html").write_text(f"<title>All</title>\n{links}{text}")
        for n in range(1, PAGES):
            page = f'<title>{n}</title>\n<a href="/">all</a>{text}'
            (dir / f"site/{n}.html").write_text(page)
        make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
        make += " -keyout key.pem -out cert.pem -days 9 -subj /CN=many"
        subprocess.run(make.split(), cwd=dir, check=True, stderr=subprocess.DEVNULL)
        _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        files = min(files, 20_000)
        self.plain, self.secure = free_port(), free_port()
        super().__init__(
            dir, CONFIG, self.plain, secure=self.secure, files=files, connections=files - 100
        )

    def counts(self):
        """Pages that were sent, connections, and how many of them had a session already."""
        pages, connections, resumed = set(), set(), set()
        for line in self.asked():
            status, connection, reused, page = line.split(" ")
            connections.add(connection)
            if status == "200":
                pages.add(page)
            if reused == "r":
                resumed.add(connection)
        return len(pages), len(connections), len(resumed)


def contenders(bins, server, folder):
    """Name, command, and what it is to have asked for."""
    urls = {}
    for scheme, number in [("http", server.plain), ("https", server.secure)]:
        hosts = [f"127.1.{n // 250 + 1}.{n % 250 + 1}:{number}" for n in range(HOSTS)]
        urls[scheme] = [f"{scheme}://{host}/" for host in hosts]
        spider = {"name": "many", "start_urls": urls[scheme]}
        (folder / f"{scheme}.json").write_text(json.dumps(spider))
        (folder / f"{scheme}.txt").write_text("\n".join(urls[scheme]) + "\n")
    (folder / "sites.csv").write_text("url\n" + "\n".join(urls["http"]) + "\n")
    run = bins / "crawl-run"
    listed = [
        ("one crawl", [run, "http.json", "-q"]),
        ("one crawl, TLS", [run, "https.json", "-q", "--insecure"]),
        (f"batch, {JOBS} jobs", [run, "batch", "sites.csv", "-q", "--jobs", str(JOBS)]),
    ]
    wget = shutil.which("wget2")
    if not wget:
        print("LEFT OUT: wget2 is not installed: apt-get install wget2")
        return listed
    wget = [wget, "-q", "-r", "-l", "inf", "-O", "/dev/null", "--no-check-certificate"]
    many = [*wget, "--max-threads=32"]
    each = ["xargs", "-a", "http.txt", "-n", "1", "-P", str(JOBS), *wget]
    return [
        *listed,
        ("wget2", [*many, "-i", "http.txt"]),
        ("wget2, TLS", [*many, "-i", "https.txt"]),
        (f"{HOSTS} times wget2, {JOBS} at once", each),
    ]


def run(bins, work, options, problems):
    server = Hosts(work)
    folder = work / "run"
    results = {}
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        listed = contenders(bins, server, folder)
        for round in range(min(options.runs, 3) + 1):
            for at, (name, command) in enumerate(listed):
                # ext4 passes over inodes that were removed in the last minutes, one by one, whenever it
                # makes a file: what was removed just before would cost whoever comes next.
                if (folder / "data").exists():
                    (folder / "data").rename(folder / f"data-{round}-{at}")
                server.forget()
                # 8: robots.txt is not there.
                result = measure.run(command, folder, codes=(0, 8))
                pages, connections, resumed = server.counts()
                if pages != HOSTS * PAGES:
                    problems.append(f"many, {name}: {pages} pages, not {HOSTS * PAGES}")
                del result["processes"], result["stderr"]
                result |= {"connections": connections, "resumed": resumed}
                # The first round warms the page cache and is not counted.
                if round > 0:
                    results.setdefault(name, []).append(result)
                    print(f"many {round}: {name} {result['wall_s']:.2f} s", flush=True)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    keys = ("wall_s", "cpu_s", "connections", "resumed")
    medians = {
        name: {key: measure.median(runs, key) for key in keys} for name, runs in results.items()
    }
    print(f"\n{HOSTS} hosts of {PAGES} pages: medians, interleaved")
    rows = [
        [name, f"{m['wall_s']:.2f}", f"{m['cpu_s']:.2f}", m["connections"], m["resumed"]]
        for name, m in medians.items()
    ]
    measure.table(["", "wall s", "CPU s", "connections", "TLS sessions resumed"], rows)
    return {"hosts": HOSTS, "pages": PAGES, "medians": medians, "runs": results}
