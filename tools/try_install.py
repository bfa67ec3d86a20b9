"""Follows docs/install.md and docs/guard.md to the letter on a throw-away machine: `python -m tools.try_install`.

The machine is this one's file system under an overlay that discards every change, with its own systemd and
its own network (systemd-nspawn). Each command of the page runs there as root, in the order of the page;
checks in between verify the page's promises. Needs root, systemd-container, caddy and PostgreSQL.

`INSTEAD` lists the differences from the page: the instance's name, the source of the program, typed input.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "install.md"
GUARD_PAGE = ROOT / "docs" / "guard.md"
HOST = "stormpetrel.test"
PASSWORD = "a password of one's own"
DATABASE_PASSWORD = "0123456789abcdef"
REPOSITORY = "/mnt/repository"
CERTIFICATES = "/var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt"
BOOT_S = 60.0
MOST_EXPOSURE = 2.0
"""Limit for `systemd-analyze security`, from 0 (locked in) to 10. Below 2 it calls a unit "OK"."""

INSTEAD = {
    "git clone https://git.example/stormpetrel.git /opt/stormpetrel": (
        f"git clone --quiet {REPOSITORY} /opt/stormpetrel"
    ),
    "stormpetrel user add ann --email ann@example.org --admin": (
        f"printf '%s\\n' {PASSWORD!r} | stormpetrel user add ann --email ann@{HOST} --admin --password-stdin"
    ),
    "runuser -u postgres -- createuser --pwprompt stormpetrel": (
        "runuser -u postgres -- psql --quiet --command "
        f"\"CREATE ROLE stormpetrel LOGIN PASSWORD '{DATABASE_PASSWORD}'\""
    ),
}
"""Commands that ask for input, or that name a URL that does not exist."""
WITH_NETWORK = ("apt-get ", "git clone ", "git -C /opt/stormpetrel pull", "make ")
"""Commands that download: they run with this machine's network and the other machine's files."""
# The edit that the page asks its reader to make.
EDIT_CADDYFILE = (
    rf"sed -i 's#^\(status\.\|\)example\.org {{#\1{HOST} {{\n\ttls internal#' /etc/caddy/Caddyfile"
)


def commands(page: str) -> dict[str, list[tuple[str, str]]]:
    """Return the page's commands by their heading: (kind, command); kind is "" or "postgresql"."""
    found: dict[str, list[tuple[str, str]]] = {}
    heading, kind = "", None
    for line in page.splitlines():
        if kind is not None:
            if line == "```":
                kind = None
            elif kind != "text":
                found.setdefault(heading, []).append((kind, line))
        elif line.startswith("## "):
            heading = line.removeprefix("## ")
        elif line.startswith("```"):
            words = line.removeprefix("```").split()
            kind = "text" if words[:1] != ["sh"] else " ".join(words[1:])
    return found


def as_run(command: str) -> str:
    """Return the command to run for a command of the page."""
    command = INSTEAD.get(command, command)
    return command.replace("example.org", HOST).replace("PASSWORD@", f"{DATABASE_PASSWORD}@")


class Failed(Exception):
    """A command did not do what the page says, or a promise of the page does not hold."""


@dataclass
class Machine:
    """The running throw-away machine. `leader`: the pid of its systemd."""

    leader: int

    def run(self, command: str, *, network: bool = False, check: bool = True, shown: bool = True) -> str:
        """Run a shell command there and return its output. Raise Failed when it fails."""
        if shown:
            print(f"# {command}", flush=True)
        if network:
            more = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        else:
            more = {"CURL_CA_BUNDLE": CERTIFICATES}
        done = subprocess.run(
            [
                *(
                    "nsenter",
                    f"--target={self.leader}",
                    "--mount",
                    "--uts",
                    "--ipc",
                    "--pid",
                    "--root",
                    "--wd",
                ),
                *(() if network else ("--net",)),
                *("/bin/bash", "-c", f"set -o pipefail; {command}"),
            ],
            env=more
            | {
                "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME": os.environ.get("HOME", "/"),
                "LANG": "C.UTF-8",
                "DEBIAN_FRONTEND": "noninteractive",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise Failed(f"exit {done.returncode}: {command}\n{done.stdout}\n{self.log()}")
        return done.stdout

    def log(self) -> str:
        """Return the end of the service's log there."""
        return self.run(
            "journalctl --no-pager -n 40 -u stormpetrel -u caddy -u stormpetrel-backup",
            check=False,
            shown=False,
        )


@contextlib.contextmanager
def machine(repository: Path) -> Iterator[Machine]:
    """Boot the machine; remove all of it at the end."""
    with tempfile.TemporaryDirectory(prefix="stormpetrel-try-") as directory:
        there = Path(directory)
        script = f"""
            set -e
            mount --make-rprivate /
            mount -t tmpfs -o size=4g tmpfs {there}
            mkdir {there}/changes {there}/work {there}/whole
            mount -t overlay overlay -o lowerdir=/,upperdir={there}/changes,workdir={there}/work {there}/whole
            : > {there}/whole/etc/machine-id
            printf '127.0.0.1 localhost {HOST} status.{HOST}\\n' > {there}/whole/etc/hosts
            # A machine on which nobody has installed anything yet: the packages are there, nothing of them is on.
            find {there}/whole/etc/systemd/system -name '*.wants' -prune -exec rm -rf {{}} +
            rm -f {there}/whole/usr/sbin/policy-rc.d
            export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=${{UNIFIED:-0}}
            exec systemd-nspawn --quiet --directory={there}/whole --private-network --register=no --keep-unit \
                --bind-ro={repository}:{REPOSITORY} --console=pipe --boot systemd.unit=basic.target
        """
        unified = "1" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "0"
        with open(there.with_suffix(".console"), "w+b") as console:
            process = subprocess.Popen(
                ["unshare", "--mount", "bash", "-c", script],
                env=os.environ | {"UNIFIED": unified},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                yield _booted(process, console.name)
            finally:
                # SIGTERM to nspawn shuts its machine down in order.
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                Path(console.name).unlink()


def _booted(process: subprocess.Popen[bytes], console: str) -> Machine:
    deadline_s = time.monotonic() + BOOT_S
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            break
        for pid in _below(process.pid):
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
                if re.search(r"^NSpid:\t\d+\t1$", status, re.MULTILINE):
                    there = Machine(pid)
                    state = there.run("systemctl is-active basic.target", check=False, shown=False)
                    if state.strip() == "active":
                        there.run("ip link set lo up", shown=False)
                        return there
        time.sleep(0.2)
    raise Failed(f"the machine did not boot:\n{Path(console).read_text(encoding='utf-8', errors='replace')}")


def _below(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    except OSError:
        return []
    return [one for child in map(int, children) for one in (child, *_below(child))]


def make_repository(directory: Path) -> None:
    """Make a repository of this checkout's files, committed or not."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            copy = directory / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy)
    _git(directory, "init", "--quiet", "--initial-branch=main")
    release(directory, "A release")


def release(directory: Path, name: str) -> None:
    """Add one more commit to the repository."""
    (directory / "RELEASE").write_text(f"{name}\n", encoding="utf-8")
    _git(directory, "add", "--all")
    _git(
        directory, "-c", "user.name=Ann", "-c", "user.email=ann@example.org", "commit", "--quiet", "-m", name
    )


def _git(directory: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=directory, check=True)


class Guide:
    """Follows the page on a machine, section by section."""

    def __init__(self, there: Machine, repository: Path) -> None:
        self.there = there
        self.repository = repository
        self.sections = commands(PAGE.read_text(encoding="utf-8"))
        self.token = ""

    def follow(self, heading: str, kind: str = "") -> None:
        """Run the commands under a heading."""
        print(f"\n## {heading}{f' ({kind})' if kind else ''}", flush=True)
        for of_kind, command in self.sections[heading]:
            if of_kind == kind:
                self.there.run(as_run(command), network=command.startswith(WITH_NETWORK))
                if "deploy/Caddyfile" in command:
                    self.there.run(EDIT_CADDYFILE)

    def expect(self, what: str, command: str, pattern: str) -> str:
        """Raise Failed unless the command's output matches."""
        printed = self.there.run(command, shown=False, check=False)
        if not re.search(pattern, printed, re.MULTILINE):
            raise Failed(f"{what}: {command}\nprinted\n{printed}\n{self.there.log()}")
        print(f"    ok: {what}", flush=True)
        return printed

    def post(self, text: str) -> None:
        """Post through the API, as an app does."""
        headers = f"-H 'Authorization: Bearer {self.token}' -H 'Content-Type: application/json'"
        self.expect(
            f"an app can post {text!r}",
            f'curl -sS {headers} -d \'{{"status": "{text}"}}\' https://{HOST}/api/v1/statuses',
            r'"content":"<p>' + text,
        )

    def feed(self) -> str:
        """Return ann's public feed."""
        return self.there.run(f"curl -sS https://{HOST}/@ann/feed.atom", shown=False)

    def whole_page(self) -> None:
        """Follow the page from the first section to the rollback, with the database in a file."""
        for heading in (
            "The program",
            "A user and a place for the data",
            "Settings",
            "The first administrator",
            "The service",
        ):
            self.follow(heading)
        self._confined()
        self.follow("HTTPS")
        self._served()
        self._guarded()
        self.follow("Backups")
        self._backed_up()
        self.post("before the update")
        release(self.repository, "The next release")
        self.update_and_return(kind="")

    def update_and_return(self, kind: str) -> None:
        """Follow the section about updating: its first block, a post, then its second block."""
        heading = "Updating, and the way back"
        plain = [command for of_kind, command in self.sections[heading] if not of_kind]
        back = plain.index("systemctl stop stormpetrel", plain.index("stormpetrel migrate"))
        print(f"\n## {heading}{f' ({kind})' if kind else ''}", flush=True)
        for command in plain[:back]:
            self.there.run(as_run(command), network=command.startswith(WITH_NETWORK))
        self.expect("the new release is installed", "cat /opt/stormpetrel/RELEASE", "The next release")
        self.post("after the update")
        for command in plain[back:]:
            if command.startswith("stormpetrel restore") and kind:
                for of_kind, more in self.sections[heading]:
                    if of_kind == kind:
                        self.there.run(as_run(more))
            self.there.run(as_run(command), network=command.startswith(WITH_NETWORK))
        feed = self.feed()
        if "before the update" not in feed or "after the update" in feed:
            raise Failed(f"after the rollback, the feed differs from before the update:\n{feed}")
        self.expect("the newer data is set aside", "ls /srv/stormpetrel-set-aside", r"secret\.key")
        self.post("after the way back")

    def with_postgresql(self) -> None:
        """Repeat from the settings on, with PostgreSQL."""
        self.there.run("systemctl stop stormpetrel && rm -rf /srv/stormpetrel /srv/stormpetrel-*")
        self.there.run("rm -rf /var/backups/stormpetrel/* && git -C /opt/stormpetrel switch --quiet main")
        self.there.run("git -C /opt/stormpetrel reset --quiet --hard HEAD~1")
        self.there.run("install -d -o stormpetrel -g stormpetrel -m 0700 /srv/stormpetrel")
        self.follow("PostgreSQL instead of a file", "postgresql")
        print("\n## Settings", flush=True)
        for _, command in self.sections["Settings"]:
            if not command.startswith("stormpetrel init"):
                self.there.run(as_run(command))
        self.follow("The first administrator")
        self.there.run("systemctl start stormpetrel")
        wait = next(command for _, command in self.sections["The service"] if command.startswith("curl"))
        self.there.run(wait)
        self.expect("it uses PostgreSQL", "stormpetrel config", r"^database\.url +postgresql://")
        self._served()
        self.post("before the update")
        self.update_and_return(kind="postgresql")

    def _confined(self) -> None:
        self.expect("the service runs", "systemctl is-active stormpetrel", "^active$")
        self.expect(
            "every process runs as its own user",
            "ps -o user= -C stormpetrel,petrel-web-0,petrel-courier | sort -u",
            r"^stormp\S+$",
        )
        status = "cat /proc/$(systemctl show --property MainPID --value stormpetrel)/status"
        self.expect("without capabilities", status, r"^CapBnd:\t0+$")
        self.expect("it cannot gain privileges", status, r"^NoNewPrivs:\t1$")
        self.expect("with a system call filter", status, r"^Seccomp:\t2$")
        said = self.expect(
            "systemd finds it confined",
            "systemd-analyze security --no-pager stormpetrel",
            r"Overall exposure level",
        )
        exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
        if exposure is None or float(exposure[1]) > MOST_EXPOSURE:
            raise Failed(said)
        print(f"    exposure {exposure[1]} of 10", flush=True)
        self.there.run("systemctl kill --kill-whom=main --signal=KILL stormpetrel")
        # With cgroups v1, systemd waits for TimeoutStopSec before it continues.
        self.expect(
            "systemd restarts it after a kill",
            "sleep 3; curl -sS --retry 60 --retry-connrefused --retry-delay 1 http://127.0.0.1:8000/health",
            "ok",
        )

    def _served(self) -> None:
        self.expect("a page over HTTPS", f"curl -sS https://{HOST}/about", "<h1")
        self.expect(
            "browsers are told to stay on HTTPS", f"curl -sSI https://{HOST}/about", "(?i)strict-transport"
        )
        self.expect(
            "HTTP redirects to HTTPS",
            f"curl -sSI http://{HOST}/about",
            rf"(?i)^location: https://{HOST}/about",
        )
        self.expect("the status page over HTTPS", f"curl -sS https://status.{HOST}/", "<title>Status of ")
        self.expect(
            "its metrics are not public",
            f"curl -sS -o/dev/null -w '%{{http_code}}' https://status.{HOST}/metrics",
            "404",
        )
        self.expect(
            "refused requests link to it",
            "stormpetrel config",
            rf"^status\.public_url +https://status\.{HOST} ",
        )
        self.expect(
            "the API knows its name", f"curl -sS https://{HOST}/api/v2/instance", f'"domain":"{HOST}"'
        )
        printed = self.there.run('stormpetrel token ann --scopes "read write"', shown=False)
        self.token = printed.splitlines()[-1]
        self.post("hello")
        self.expect(
            "an image can be uploaded",
            f"curl -sS -H 'Authorization: Bearer {self.token}' "
            f"-F 'file=@/opt/stormpetrel/docs/images/home.png' https://{HOST}/api/v2/media",
            r'"type":"image"',
        )
        upgrade = "-H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13'"
        self.expect(
            "a WebSocket connects",
            f"curl -sS -i --http1.1 --max-time 3 {upgrade} -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' "
            f"'https://{HOST}/api/v1/streaming?stream=user&access_token={self.token}'",
            "^HTTP/1.1 101",
        )

    def _guarded(self) -> None:
        """Follow the commands of docs/guard.md, and remove the guard again."""
        print("\n## The guard", flush=True)
        for _, command in commands(GUARD_PAGE.read_text(encoding="utf-8"))["Install it"]:
            self.there.run(as_run(command), network=command.startswith(WITH_NETWORK))
        self.expect(
            "the watch has a guard", "sleep 5; stormpetrel shield status", r"^guard +blocks 0 sources "
        )
        self.expect("its table is in the kernel", "nft list tables", "^table inet stormpetrel_guard$")
        status = "cat /proc/$(systemctl show --property MainPID --value stormpetrel-guard)/status"
        self.expect("as a user of its own", status, r"^Uid:\t[1-9]")
        self.expect("with one capability", status, r"^CapBnd:\t0*1000$")
        self.there.run("systemctl kill --kill-whom=main --signal=KILL stormpetrel-guard")
        self.there.run("systemctl disable --now stormpetrel-guard")
        self.expect("without it, no table is left", "nft list tables | grep -c stormpetrel_guard", "^0$")

    def _backed_up(self) -> None:
        self.expect(
            "there is a valid backup",
            "stormpetrel backup --verify $(ls -t /var/backups/stormpetrel/*.tar.gz | head -n 1)",
            "^sound: ",
        )
        self.expect(
            "only its owner may read it", "stat -c %a:%U /var/backups/stormpetrel/*.tar.gz", "^600:stormp"
        )
        self.expect(
            "the backup timer is enabled", "systemctl is-enabled stormpetrel-backup.timer", "^enabled$"
        )


def main() -> int:
    """Follow the page; return 1 and print the problem if it fails."""
    if os.geteuid() != 0:
        print("try_install: run this as root; it boots a machine", file=sys.stderr)
        return 2
    started_at_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="stormpetrel-repository-") as directory:
        repository = Path(directory)
        make_repository(repository)
        # git clones it in a process of another mount namespace.
        repository.chmod(0o755)
        try:
            with machine(repository) as there:
                guide = Guide(there, repository)
                guide.whole_page()
                guide.with_postgresql()
        except Failed as failure:
            print(f"\nFAILED: {failure}", file=sys.stderr)
            return 1
    print(f"\nEvery command of {PAGE.relative_to(ROOT)} worked ({time.monotonic() - started_at_s:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
