#!/usr/bin/env python3
"""make bench: ticrypt beside rclone crypt, restic, age and dd. Same data, same disk, loopback, TLS, everyone timed to sync.

Contenders take turns within each round, so that a disk which is fast or slow by the hour is so for all. One that is not done with something
after two minutes is stopped and not asked again. Prints one table and, with
--json FILE, the raw figures. Everything runs in a temporary folder beside the target directory and is removed at the end.
"""
import argparse
import json
import math
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / "target" / "release"
MIB = 1024 * 1024


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port, process, seconds=60):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            sys.exit(f"a server ended early: {process.args}")
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"no answer on port {port}: {process.args}")


def high_water(pid):
    """Peak resident memory of a running process, MiB."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", text)[1]) / 1024


def claim_memory(size=4 * 1024 * MIB):
    """Touches free memory and lets it go. A virtual machine's host takes free memory back after a while, and whoever is first to write to it
    again waits for the host, some 2.5 s for each GiB here: more than all else that is measured, and a matter of whose turn it is."""
    # In a process of its own: the peak of a command started from here would count it.
    touch = f"import mmap\nwith mmap.mmap(-1, {size}) as m:\n for page in range(0, {size}, mmap.PAGESIZE): m[page] = 1"
    subprocess.run([sys.executable, "-c", touch], check=True)


def timed(command, **more):
    """`run` on a level field: nothing left to be written by whoever came before, and memory that is there."""
    os.sync()
    claim_memory()
    return run(command, **more)


PATIENCE_S = 120


def run(command, env=None, **more):
    """Runs to the end and to sync; returns seconds and the peak memory of the process, MiB. Infinitely long for one that had to be stopped."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, **(env or {})}, **more)
    stopping = threading.Timer(PATIENCE_S, process.kill)
    stopping.start()
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    stopping.cancel()
    os.sync()
    took = time.monotonic() - start
    if took > PATIENCE_S:
        return math.inf, usage.ru_maxrss / 1024
    if process.returncode != 0:
        sys.exit(f"failed: {command}\n{errors.decode(errors='replace')[-2000:]}")
    return took, usage.ru_maxrss / 1024


def elapsed(command):
    start = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def make_data(folder):
    big = folder / "big"
    big.mkdir()
    with open("/dev/urandom", "rb") as source, open(big / "big.bin", "wb") as out:
        for _ in range(1024):
            out.write(source.read(MIB))
    small = folder / "small"
    with open("/dev/urandom", "rb") as source:
        for d in range(100):
            (small / f"d{d:02}").mkdir(parents=True)
            for f in range(100):
                (small / f"d{d:02}" / f"f{f:02}").write_bytes(source.read(1024))
    os.sync()


class Contender:
    """One way to keep files. `up` and `down` get a fresh name each round."""

    def __init__(self, folder):
        self.folder = folder
        self.servers = []
        self.client_peak = 0

    def serve(self, command, port, env=None):
        log = open(self.folder / f"server-{len(self.servers)}.log", "wb")
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **(env or {})})
        self.servers.append(process)
        wait_for(port, process)

    def timed(self, command, env=None):
        took, peak = timed(command, env=env)
        self.client_peak = max(self.client_peak, peak)
        return took

    def server_peak(self):
        return max((high_water(s.pid) for s in self.servers), default=0)

    def stop(self):
        for s in self.servers:
            s.send_signal(signal.SIGTERM)
        for s in self.servers:
            s.wait()


class Ticrypt(Contender):
    name = "ticrypt"

    def __init__(self, folder):
        super().__init__(folder)
        port, health = free_port(), free_port()
        data = folder / "data"
        config = folder / "backend.toml"
        # Limits as high as they go: all people of the login benchmark come from one address.
        config.write_text(
            f'[server]\nlisten = "127.0.0.1:{port}"\n\n[health]\nlisten = "127.0.0.1:{health}"\n\n'
            "[limits]\naddress_per_second = 100000\naddress_burst = 100000\nperson_per_second = 100000\nperson_burst = 100000\n")
        self.serve([PROGRAMS / "ticrypt-backend", "run", "--config", config, "--data", data], port)
        code = self.printed("one-time code", r"(\S+)")
        fingerprint = self.printed("fingerprint", r"([0-9a-f ]+)")
        self.home = folder / "home"
        self.passphrase = folder / "passphrase"
        self.passphrase.write_text("benchmark passphrase\n")
        self.program = [PROGRAMS / "ticrypt", "--home", self.home, "--passphrase-file", self.passphrase]
        deployment = data / "deployment.json"
        for arguments in (["deployment", "import", deployment, "--fingerprint", fingerprint], ["key", "new", "bench"], ["register", "--code", code], ["login"]):
            run([*self.program, *arguments])

    def printed(self, field, value):
        """What the first start printed under a name."""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            found = re.search(rf"{field} +{value}", (self.folder / "server-0.log").read_text())
            if found:
                return found[1].strip()
            time.sleep(0.05)
        sys.exit(f"the backend printed no {field}")

    def up(self, source, name):
        return self.timed([*self.program, "put", source, f"/{name}"])

    def down(self, name, target):
        return self.timed([*self.program, "get", f"/{name}", target])

    def stop(self):
        subprocess.run([*self.program, "lock"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        super().stop()


def certificate(folder):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Rclone(Contender):
    name = "rclone crypt"

    def __init__(self, folder):
        super().__init__(folder)
        certificate(folder)
        port = free_port()
        (folder / "store").mkdir()
        self.serve(["rclone", "serve", "webdav", folder / "store", "--addr", f"127.0.0.1:{port}", "--cert", folder / "cert.pem", "--key", folder / "key.pem",
                    "--config", "/dev/null", "--vfs-cache-mode", "off"], port)
        obscured = subprocess.run(["rclone", "obscure", "benchmark passphrase"], capture_output=True, text=True, check=True).stdout.strip()
        config = folder / "rclone.conf"
        config.write_text(f"[dav]\ntype = webdav\nurl = https://127.0.0.1:{port}\nvendor = other\n\n[crypt]\ntype = crypt\nremote = dav:\npassword = {obscured}\n")
        self.program = ["rclone", "--config", config, "--ca-cert", folder / "cert.pem", "--transfers", "8"]

    def up(self, source, name):
        return self.timed([*self.program, "copy", source, f"crypt:{name}"])

    def down(self, name, target):
        return self.timed([*self.program, "copy", f"crypt:{name}", target])


class Restic(Contender):
    name = "restic"

    def __init__(self, folder):
        super().__init__(folder)
        certificate(folder)
        port = free_port()
        (folder / "store").mkdir()
        self.serve(["rclone", "serve", "restic", folder / "store", "--addr", f"127.0.0.1:{port}", "--cert", folder / "cert.pem", "--key", folder / "key.pem", "--config", "/dev/null"], port)
        passphrase = folder / "passphrase"
        passphrase.write_text("benchmark passphrase\n")
        self.program = ["restic", "-r", f"rest:https://127.0.0.1:{port}/", "--cacert", folder / "cert.pem", "-p", passphrase, "--cache-dir", folder / "cache", "-q"]
        run([*self.program, "init"])

    def up(self, source, name):
        return self.timed([*self.program, "backup", "--tag", name, source])

    def down(self, name, target):
        return self.timed([*self.program, "restore", "latest", "--tag", name, "--target", target])


def inside(*arguments):
    """One of the timings that are taken inside a program."""
    done = subprocess.run([PROGRAMS / "ticrypt-bench", *arguments], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def page_bench(folder, rounds):
    """What needs a browser, with the same finished programs."""
    command = [PROGRAMS / "ticrypt-page-bench", "--rounds", str(rounds), "--dir", folder]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "TICRYPT_E2E_PROGRAMS": str(PROGRAMS)})
    return json.loads(done.stdout)


def renew(folder):
    """Other bytes for each round: a contender that recognises what it has seen would gain nothing else but that."""
    shutil.rmtree(folder)
    folder.mkdir()
    make_data(folder)


def dd(folder, source):
    return timed(["dd", f"if={source}", f"of={folder / 'dd.bin'}", "bs=8M", "conv=fsync"])[0]


def age(folder, rounds):
    """Encrypts 1 GiB from memory to nowhere; MB/s."""
    memory = pathlib.Path("/dev/shm") / f"ticrypt-bench-{os.getpid()}"
    with open("/dev/urandom", "rb") as source, open(memory, "wb") as out:
        for _ in range(1024):
            out.write(source.read(MIB))
    try:
        subprocess.run(["age-keygen", "-o", folder / "age.key"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        recipient = re.search(r"public key: (\S+)", (folder / "age.key").read_text())[1]
        times = [timed(["age", "-r", recipient, "-o", "/dev/null", memory])[0] for _ in range(rounds)]
        return 1024 * MIB / 1e6 / statistics.median(times)
    finally:
        memory.unlink()


def is_settled(figures, name, what):
    """Whether it had to be stopped at this once."""
    return max(figures.get(name, {}).get(f"{what} up", [0])) == math.inf


def note(figures, n, name, what, took):
    figures.setdefault(name, {}).setdefault(what, []).append(took)
    print(f"round {n + 1}: {name}, {what}: {seconds(took)}", file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=ROOT / "target"))
    contenders, figures = [], {}
    try:
        data = folder / "source"
        data.mkdir()
        make_data(data)
        for kind in (Ticrypt, Rclone, Restic):
            own = folder / kind.name.replace(" ", "-")
            own.mkdir()
            contenders.append(kind(own))
        for n in range(options.rounds):
            if n:
                renew(data)
            note(figures, n, "dd", "big up", dd(folder, data / "big" / "big.bin"))
            for what in ("big", "small"):
                present = [c for c in contenders if not is_settled(figures, c.name, what)]
                for c in present:
                    note(figures, n, c.name, f"{what} up", c.up(data / what, f"{what}-{n}"))
                for c in [c for c in present if not is_settled(figures, c.name, what)]:
                    target = folder / f"down-{c.name.replace(' ', '-')}-{what}-{n}"
                    target.mkdir()
                    note(figures, n, c.name, f"{what} down", c.down(f"{what}-{n}", target))
                    got = sum(1 for f in target.rglob("*") if f.is_file())
                    if got != (1 if what == "big" else 10_000):
                        sys.exit(f"{c.name} gave back {got} files")
                    shutil.rmtree(target)
        report(figures, contenders, folder, options)
    finally:
        for c in contenders:
            c.stop()
        shutil.rmtree(folder, ignore_errors=True)


def seconds(took):
    if took is None:
        return ""
    return f"{took:.2f} s" if took < math.inf else f"> {PATIENCE_S} s"


def report(figures, contenders, folder, options):
    rows = ["dd"] + [c.name for c in contenders]
    columns = ["big up", "big down", "small up", "small down"]
    print("\n| median of", options.rounds, "| 1 GiB up | 1 GiB down | 10 000 × 1 KiB up | 10 000 × 1 KiB down | client MiB | server MiB |")
    print("|---|---|---|---|---|---|---|")
    medians = {r: {c: statistics.median(v) for c, v in figures[r].items()} for r in rows}
    peaks = {c.name: (c.client_peak, c.server_peak()) for c in contenders}
    for r in rows:
        cells = [seconds(medians[r].get(c)) for c in columns]
        peak = [f"{p:.0f}" for p in peaks[r]] if r in peaks else ["", ""]
        print(f"| {r} | " + " | ".join(cells + peak) + " |")
    ours = medians["ticrypt"]
    print("\nticrypt is faster by: " + ", ".join(
        f"{c}: " + " ".join(f"{medians[r][c] / ours[c]:.2f}× {r}" for r in rows if r != "ticrypt" and medians[r].get(c, math.inf) < math.inf) for c in columns))
    within = {}
    within["seal"] = seal = inside("seal", "--threads", str(os.cpu_count()))
    within["audit"] = audit = inside("audit", "--dir", folder)
    within["age_mb_s"] = age_mb_s = age(folder, options.rounds)
    print(f"\nencrypt only: {seal['seal_mb_s']:.0f} MB/s on {seal['threads']} threads = {seal['ratio']:.2f} of the bare provider, {seal['seal_mb_s'] / age_mb_s:.2f}× age ({age_mb_s:.0f} MB/s)")
    print(f"audit: {audit['events_per_s']:.0f} events/s durable, {audit['events_per_sync']:.0f} events per sync, p99 wait {audit['p99_wait_ms']:.1f} ms; {audit['verified_per_s']:.0f} events/s verified")
    within["decide"] = decide = inside("decide")
    print("decisions per second on one core: " + ", ".join(f"{what} {decide[what + '_per_s'] / 1e6:.1f} million" for what in ("open", "write", "list")))
    ticrypt = next(c for c in contenders if c.name == "ticrypt")
    within["logins"] = logins = inside("logins", "--home", ticrypt.home, "--passphrase-file", ticrypt.passphrase)
    within["members"] = members = inside("members", "--home", ticrypt.home, "--passphrase-file", ticrypt.passphrase)
    print(f"{members['people']} people: activated in bulk in {members['activated_s']:.1f} s, taken into a project in {members['added_s']:.1f} s, {members['added_per_s']:.0f}/s; one by one {members['alone_per_s']:.0f}/s")
    within["groups"] = group = inside("groups", "--home", ticrypt.home, "--passphrase-file", ticrypt.passphrase)
    print(f"a group of {group['members']} with {group['files']} files: a member added in {group['added_ms']:.0f} ms, taken out in {group['out_ms']:.0f} ms, with new keys for its directory in {group['removed_ms']:.0f} ms, the first write after that {group['first_write_ms']:.0f} ms, new keys for all {group['rekeyed_s']:.1f} s; {group['entries']} entries of mixed tags: served in {group['listed_ms']:.0f} ms, opened again by name in {group['names_ms']:.0f} ms, with all there is to know of each in {group['whole_ms']:.0f} ms")
    print(f"logins: {logins['logins_per_s']:.0f}/s on {logins['connections']} kept-alive connections, client and server on this machine; median {logins['median_ms']:.1f} ms, p99 {logins['p99_ms']:.1f} ms")
    within["second_command_s"] = second = statistics.median(elapsed([*ticrypt.program, "whoami"]) for _ in range(20))
    print(f"second command through the agent: {second * 1e3:.0f} ms")
    within["page"] = page = page_bench(folder, options.rounds)
    print(f"page: first after {page['first_page_ms']:.0f} ms, 10 000 entries after {page['entries_ms']:.0f} ms; 1 GiB dropped on the page {page['upload_by_page_s']:.2f} s, from disk {page['upload_from_disk_s']:.2f} s, by command {page['upload_by_command_s']:.2f} s: {page['upload_ratio']:.2f} and {page['from_disk_ratio']:.2f} of its speed; connect holds {page['idle_mib']} MiB idle, {page['loaded_mib']} MiB after it all")
    if options.json:
        options.json.write_text(json.dumps({"seconds": figures, "peaks": peaks, "within": within}, indent=1))


if __name__ == "__main__":
    main()
