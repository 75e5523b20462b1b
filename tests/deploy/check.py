"""Has Prometheus read what is in deploy/: rules, scrape and every query of the dashboard.

usage: tests/deploy/check.py path/to/tokenward
A server runs on the Postgres of TOKENWARD_STORE, a Prometheus of its own scrapes it, and each query must find data.
"""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

# Longer than anything here takes that ends at all.
BOUND = 120
DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"
DASHBOARD = DEPLOY / "grafana" / "tokenward.json"
RULES = DEPLOY / "prometheus" / "alerts.yml"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fetch(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def until(what, done):
    end = time.monotonic() + BOUND
    while time.monotonic() < end:
        try:
            if done():
                return
        except OSError:
            pass
        time.sleep(0.1)
    sys.exit(f"failed  {what}: not within {BOUND} seconds")


def dashboard_queries():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    for panel in panels:
        for target in panel.get("targets", []):
            # What Grafana puts in their place.
            query = target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")
            yield panel["title"], query


def help_is_complete(metrics):
    """Each family has a type and a help text, and every sample a family."""
    told = set(re.findall(r"^# HELP (\S+) .", metrics, re.M))
    families = set(re.findall(r"^# TYPE (\S+) ", metrics, re.M))
    assert families and families == told, families ^ told
    for sample in re.findall(r"^(tokenward_\w+)", metrics, re.M):
        ends = ("", "_total", "_bucket", "_sum", "_count", "_info", "_created")
        assert any(sample.endswith(end) and sample.removesuffix(end) in told for end in ends), sample


class Servers:
    """What runs, and ends with the test."""

    def __init__(self):
        self.running = []

    def start(self, *command, **more):
        process = subprocess.Popen([str(part) for part in command], **more)
        self.running.append(process)
        return process

    def end(self):
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait(30)


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    subprocess.run(["promtool", "check", "rules", RULES], check=True)
    subprocess.run(["promtool", "check", "config", DEPLOY / "prometheus" / "prometheus.yml"], check=True)
    servers = Servers()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        try:
            walk(binary, scratch, servers)
        finally:
            servers.end()
    print("ok      every query of the dashboard found data")


def walk(binary, scratch, servers):
    pepper, admin = scratch / "pepper", scratch / "admin"
    environment = {**os.environ, "TOKENWARD_PEPPER_FILE": str(pepper), "TOKENWARD_ADMIN_FILE": str(admin)}
    subprocess.run([binary, "pepper", "create", pepper], check=True)
    for command in (["migrate"], ["bootstrap"]):
        subprocess.run([binary, *command], check=True, env=environment)
    calls, metrics, prometheus = free_port(), free_port(), free_port()
    servers.start(
        binary, "serve", "--listen", f"127.0.0.1:{calls}", "--metrics-listen", f"127.0.0.1:{metrics}", env=environment
    )
    until("the server is ready", lambda: fetch(f"http://127.0.0.1:{metrics}/readyz") == "ok\n")
    until("the server is alive", lambda: fetch(f"http://127.0.0.1:{metrics}/livez") == "ok\n")

    config = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
    config = config.replace("127.0.0.1:7118", f"127.0.0.1:{metrics}").replace("15s", "1s")
    config = config.replace("alerts.yml", str(RULES))
    (scratch / "prometheus.yml").write_text(config)
    with open(scratch / "prometheus.log", "w") as log:
        servers.start(
            "prometheus",
            f"--config.file={scratch / 'prometheus.yml'}",
            f"--storage.tsdb.path={scratch / 'data'}",
            f"--web.listen-address=127.0.0.1:{prometheus}",
            stderr=log,
        )

    def ask(path, **query):
        url = f"http://127.0.0.1:{prometheus}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        return json.loads(fetch(url))["data"]

    until("Prometheus scrapes the server", lambda: ask("query", query='up{job="tokenward"} == 1')["result"])

    def cli(*arguments):
        address = ["--address", f"http://127.0.0.1:{calls}", "--credential-file", str(admin)]
        subprocess.run([binary, *address, *arguments], check=True, stdout=subprocess.DEVNULL)

    # Between scrapes something happens, so that rates have something to tell.
    secret = scratch / "secret"
    cli("namespace", "create", "notes", "--prefix", "kn_")
    cli("issue", "--namespace", "notes", "--subject", "ada", "--name", "one", "--secret-file", str(secret))
    waiting = dict(enumerate(dashboard_queries()))

    def all_found():
        cli("verify", "--secret-file", str(secret))
        for at, (_, query) in list(waiting.items()):
            found = ask("query", query=query)["result"]
            # A quotient of nothing by nothing is no answer.
            if any(sample["value"][1] != "NaN" for sample in found):
                del waiting[at]
        return not waiting

    try:
        until("every query finds data", all_found)
    except SystemExit:
        for title, query in waiting.values():
            print(f"no data {title}: {query}", file=sys.stderr)
        raise
    groups = ask("rules")["groups"]
    broken = [rule for group in groups for rule in group["rules"] if rule["health"] == "err"]
    assert groups and not broken, broken
    help_is_complete(fetch(f"http://127.0.0.1:{metrics}/metrics"))


main()
