"""nginx on loopback, one worker, with a log of what was asked."""

import os
import pathlib
import shutil
import socket
import subprocess
import time

CONFIG = """
daemon off; worker_processes 1; worker_rlimit_nofile 20000;
pid {dir}/pid; error_log {dir}/error.log; {user}
events {{ worker_connections 4096; }}
http {{
  types {{ text/html html; text/css css; text/javascript js; image/svg+xml svg;
           font/woff2 woff2; text/plain txt; application/json json; }}
  default_type application/octet-stream;
  sendfile on; tcp_nopush on; tcp_nodelay on;
  keepalive_requests 100000000; keepalive_timeout 600;
  log_format asked '$status $request_method $request_uri $sent_http_content_type';
  access_log {dir}/access.log asked buffer=64k flush=100ms;
  client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
  uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
  server {{ listen 127.0.0.1:{port} backlog=1024; root {root}; index index.html; }}
}}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def rust_docs():
    """The folder of the toolchain's documentation."""
    sysroot = subprocess.check_output(["rustc", "--print", "sysroot"], text=True).strip()
    return sysroot + "/share/doc/rust/html"


class Server:
    """nginx with a configuration, whose files and log lie in a folder of its own."""

    def __init__(self, dir, config, port, **values):
        program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
        if not program:
            raise SystemExit("bench: nginx is not installed: apt-get install nginx")
        self.dir = dir
        user = "user root;" if os.geteuid() == 0 else ""
        file = dir / "nginx.conf"
        file.write_text(config.format(dir=dir, user=user, port=port, **values))
        self.child = subprocess.Popen([program, "-c", file], stderr=subprocess.DEVNULL)
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"bench: nginx does not start, see {dir}/error.log")

    def forget(self):
        """Empties the log; nginx appends to it."""
        os.truncate(self.dir / "access.log", 0)

    def asked(self):
        """Lines of the log since then."""
        time.sleep(0.3)
        return (self.dir / "access.log").read_text().splitlines()

    def stop(self):
        self.child.terminate()
        self.child.wait()


def new_folder(work, name):
    dir = pathlib.Path(work) / name
    shutil.rmtree(dir, ignore_errors=True)
    dir.mkdir()
    return dir


class Nginx(Server):
    """A folder of files as a site."""

    def __init__(self, work, root):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        super().__init__(new_folder(work, "nginx"), CONFIG, port, root=root)

    def pages(self):
        """The distinct pages that were sent since the log was emptied: paths with 200 and HTML."""
        pages = set()
        for line in self.asked():
            status, method, path, *kind = line.split(" ")
            if status == "200" and method == "GET" and kind[:1] == ["text/html"]:
                pages.add(path)
        return pages
