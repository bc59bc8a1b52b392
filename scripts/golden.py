#!/usr/bin/env python3
"""Records which peer the real NGINX and the real Envoy pick, for decision/tests/it/golden.rs to replay.

    ./just golden            (fetches Envoy first)

NGINX is the one on PATH or in NGINX_BIN; where there is none, Debian's package is fetched and unpacked into a temporary
folder, never installed. Envoy is ENVOY_BIN, else .tools/bin/envoy. Both listen on Unix sockets in that folder, so that no
port is taken, and a peer's name, which is hashed, is the name of a processor on every machine. What was started is ended
by its process id, also after a failure.
"""

import http.client
import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "decision/tests/it/data/golden"
READY_SECONDS = 30
PEERS = ["acquirer-a", "acquirer-b", "acquirer-c", "acquirer-d", "acquirer-e"]
KEYS = [f"order-{n}" for n in range(500)]
TURNS = 60


class Case:
    """A fleet: its name in the recording, the weight of each peer in order, and who is down."""

    def __init__(self, name, weights, down=None):
        self.name, self.weights, self.down = name, weights, down

    def peers(self):
        return list(zip(PEERS, self.weights))

    def up(self):
        return [(name, weight) for name, weight in self.peers() if name != self.down]

    def described(self):
        marks = [f"{name}={weight}" + (" (down)" if name == self.down else "") for name, weight in self.peers()]
        return f"# {self.name}: " + ", ".join(marks)


TAKING_TURNS = [
    Case("5-1-1", [5, 1, 1]),
    Case("3-2-1", [3, 2, 1]),
    Case("1-1-1-1", [1, 1, 1, 1]),
    Case("7-3", [7, 3]),
    Case("3-2-1 b down", [3, 2, 1], "acquirer-b"),
]
KEYED = [
    Case("3 equal", [1, 1, 1]),
    Case("3 unequal", [3, 2, 1]),
    Case("5 equal", [1, 1, 1, 1, 1]),
    Case("5 unequal", [5, 1, 3, 2, 4]),
    Case("3 unequal b down", [3, 2, 1], "acquirer-b"),
    Case("5 unequal c down", [5, 1, 3, 2, 4], "acquirer-c"),
]


def addresses():
    """IPv4 in many /24, two addresses of each of some (NGINX reads three octets), and IPv6."""
    v4 = [f"{1 + n * 7 % 222}.{n * 29 % 256}.{n * 53 % 256}.{n * 97 % 256}" for n in range(260)]
    twins = [address.rsplit(".", 1)[0] + ".200" for address in v4[:20]]
    v6 = [str(ipaddress.IPv6Address((0x2001_0DB8 << 96) + n * 0x1_0003_0005_0007)) for n in range(120)]
    return list(dict.fromkeys(v4 + twins + v6))


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("golden")
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(READY_SECONDS)
        self.sock.connect(self.path)


def fail(text):
    sys.exit(f"golden: {text}")


class Host:
    """A running proxy, in a folder of its own; left, it is ended."""

    def __init__(self, command, folder):
        self.log = open(folder / "log", "wb")
        self.folder = folder
        self.process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def __enter__(self):
        until = time.monotonic() + READY_SECONDS
        while True:
            try:
                self.connection = UnixConnection(self.folder / "in.sock")
                self.connection.connect()
                return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    self.__exit__()
                    fail(f"{self.process.args[0]} did not start:\n{(self.folder / 'log').read_text()[-3000:]}")
                time.sleep(0.05)

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def picked(self, path, headers):
        """Who answered: every peer answers with its name."""
        self.connection.request("GET", path, headers=headers)
        answer = self.connection.getresponse()
        body = answer.read().decode()
        if answer.status != 200 or body not in PEERS:
            fail(f"{path}: status {answer.status}, {body!r}")
        return body


def write(name, host, cases, first, rows):
    lines = [f"# {host}", "# Recorded by scripts/golden.py; see README.md here.", *(case.described() for case in cases)]
    lines.append(",".join([first, *(case.name for case in cases)]))
    lines += [",".join(row) for row in rows]
    (GOLDEN / name).write_text("\n".join(lines) + "\n")
    print(f"{name}: {len(cases)} fleets, {len(rows)} rows")


# --- NGINX

def nginx_program(temporary):
    told = os.environ.get("NGINX_BIN")
    found = told or shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if found:
        return found
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        fail("there is no nginx here, and no apt-get to fetch Debian's package with: install nginx, or set NGINX_BIN.")
    unpacked = temporary / "package"
    unpacked.mkdir()
    for command in (["apt-get", "-q", "download", "nginx"], ["sh", "-c", "dpkg-deb -x nginx_*.deb ."]):
        done = subprocess.run(command, cwd=unpacked, capture_output=True, text=True)
        if done.returncode != 0:
            fail(f"Debian's nginx could not be fetched (apt-get update first?), install it or set NGINX_BIN:\n{done.stderr}")
    return str(unpacked / "usr/sbin/nginx")


def nginx_config(policies):
    """One upstream block per policy and fleet, all from a fresh start; the peers are servers of the same process."""
    blocks = []
    for policy, directive, cases in policies:
        for index, case in enumerate(cases):
            servers = "".join(
                f"    server unix:{name} weight={weight}{' down' if name == case.down else ''};\n"
                for name, weight in case.peers()
            )
            blocks.append(f"  upstream {policy}{index} {{\n{directive}{servers}  }}\n")
    peers = "".join(f'  server {{ listen unix:{name}; return 200 "{name}"; }}\n' for name in PEERS)
    locations = "".join(
        f"    location = /{policy}{index} {{ proxy_pass http://{policy}{index}; }}\n"
        for policy, _, cases in policies
        for index in range(len(cases))
    )
    user = "user root;\n" if os.geteuid() == 0 else ""
    return f"""{user}daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
  access_log off;
  keepalive_requests 1000000;
  set_real_ip_from unix:;
  real_ip_header X-Forwarded-For;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
{''.join(blocks)}{peers}  server {{
    listen unix:in.sock;
{locations}  }}
}}
"""


def record_nginx(temporary):
    program = nginx_program(temporary)
    version = subprocess.run([program, "-v"], capture_output=True, text=True).stderr.strip().removeprefix("nginx version: ")
    folder = temporary / "nginx"
    folder.mkdir()
    policies = [
        ("wrr", "", TAKING_TURNS),
        ("ip", "    ip_hash;\n", KEYED),
        ("ketama", "    hash $arg_k consistent;\n", KEYED),
    ]
    (folder / "nginx.conf").write_text(nginx_config(policies))
    with Host([program, "-p", str(folder), "-e", "stderr", "-c", "nginx.conf"], folder) as host:
        columns = [[host.picked(f"/wrr{i}", {}) for _ in range(TURNS)] for i in range(len(TAKING_TURNS))]
        rows = [[str(turn), *picks] for turn, picks in enumerate(zip(*columns))]
        write("nginx_smooth_wrr.csv", f"{version}, one worker, from a fresh start", TAKING_TURNS, "turn", rows)
        rows = [
            [address, *(host.picked(f"/ip{i}", {"X-Forwarded-For": address}) for i in range(len(KEYED)))]
            for address in addresses()
        ]
        write("nginx_ip_hash.csv", f"{version}, ip_hash", KEYED, "client", rows)
        rows = [[key, *(host.picked(f"/ketama{i}?k={key}", {}) for i in range(len(KEYED)))] for key in KEYS]
        write("nginx_ketama.csv", f"{version}, hash $arg_k consistent", KEYED, "key", rows)


# --- Envoy

def envoy_listener(name, socket_name, routes):
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
        }],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {"name": name, "address": {"pipe": {"path": socket_name}}, "filter_chains": [{"filters": filters}]}


def envoy_cluster(name, policy, case):
    """A peer's name is its socket's path, which is what Envoy hashes. One that is down is absent, as a removed one is."""
    endpoints = [
        {"load_balancing_weight": weight, "endpoint": {"address": {"pipe": {"path": peer}}}}
        for peer, weight in case.up()
    ]
    cluster = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
    }
    if policy == "maglev":
        return cluster | {"lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": 65537}}
    return cluster | {
        "lb_policy": "RING_HASH",
        "ring_hash_lb_config": {"minimum_ring_size": 1024, "hash_function": "XX_HASH"},
    }


def envoy_config():
    clusters, routes = [], []
    for policy in ("maglev", "ring"):
        for index, case in enumerate(KEYED):
            name = f"{policy}{index}"
            clusters.append(envoy_cluster(name, policy, case))
            hashed = {"header": {"header_name": "x-key"}}
            routes.append({"match": {"path": f"/{name}"}, "route": {"cluster": name, "hash_policy": [hashed]}})
    listeners = []
    for peer in PEERS:
        says = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": peer}}}
        listeners.append(envoy_listener(peer, peer, [says]))
    listeners.append(envoy_listener("in", "in.sock", routes))
    return json.dumps({"static_resources": {"listeners": listeners, "clusters": clusters}}, indent=1)


def record_envoy(temporary):
    program = os.environ.get("ENVOY_BIN") or str(ROOT / ".tools/bin/envoy")
    if not os.access(program, os.X_OK):
        fail(f"there is no Envoy at {program}: run this as ./just golden, or set ENVOY_BIN.")
    told = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    version = "envoy/" + told.strip().split("version: ")[-1].split("/")[1]
    folder = temporary / "envoy"
    folder.mkdir()
    (folder / "envoy.json").write_text(envoy_config())
    command = [program, "-c", "envoy.json", "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
    with Host(command, folder) as host:
        for policy, file, said in [
            ("maglev", "envoy_maglev.csv", "MAGLEV, table 65537"),
            ("ring", "envoy_ring_hash.csv", "RING_HASH, XX_HASH, minimum_ring_size 1024"),
        ]:
            rows = [
                [key, *(host.picked(f"/{policy}{i}", {"x-key": key}) for i in range(len(KEYED)))] for key in KEYS
            ]
            write(file, f"{version}, {said}", KEYED, "key", rows)


def main():
    # SIGTERM unwinds as Ctrl-C does, so that both proxies are ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="golden-") as temporary:
        record_nginx(Path(temporary))
        record_envoy(Path(temporary))


if __name__ == "__main__":
    main()
