"""Readers of other people's status pages read ours, unmodified: a client of Statuspage, and a feed reader."""

from __future__ import annotations

import json
import subprocess
import urllib.request

from tests.feed_reader import read_by_a_reader
from tests.instance import running_instance
from tests.parts import NODE, require
from tests.waiting import eventually

TIMEOUT_S = 60


def test_clients_of_statuspage_and_feed_readers_read_everything(tmp_path, sqlite_url):
    require("node")
    with running_instance(tmp_path / "place", sqlite_url, web_workers=1) as instance:
        texts = {"Apps fail": "We look & listen.\n\nSoon <more>.", "Old": "It was short."}
        for name, text in texts.items():
            said = instance.run_cli("incident", "start", name, "--text", text, "--channel", "apps").stdout
        instance.run_cli("incident", "resolve", said.split()[1])
        for name, ahead in (("New disks", "2h"), ("New cables", "1s")):
            instance.run_cli(
                *("maintenance", "schedule", name, "--text", "Uploads pause.", "--channel", "media"),
                *("--in", ahead, "--for", "30m"),
            )

        def read():
            done = subprocess.run(
                ["node", NODE / "read_status.mjs", instance.status_url],
                cwd=NODE,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)

        def is_media_worked_on(found):
            # Each document is up to a second old by itself.
            upcoming = [one["name"] for one in found["upcoming"]["scheduled_maintenances"]]
            states = [one["status"] for one in found["components"]["components"]]
            return "under_maintenance" in states and "New cables" not in upcoming

        found = eventually(read, is_media_worked_on)
        names = {
            part: [one["name"] for one in found[part][f"{kind}s"]]
            for kind, part in (
                ("incident", "incidents"),
                ("incident", "unresolved"),
                ("scheduled_maintenance", "summary"),
                # This client reads upcoming.json also for all maintenance, and for that in progress.
                ("scheduled_maintenance", "upcoming"),
            )
        }
        assert names == {
            "incidents": ["Old", "Apps fail"],
            "unresolved": ["Apps fail"],
            "summary": ["New cables", "New disks"],
            "upcoming": ["New disks"],
        }
        assert found["status"]["status"]["indicator"] == found["summary"]["status"]["indicator"]
        states = {one["name"]: one["status"] for one in found["components"]["components"]}
        assert states["Media"] == "under_maintenance"
        feed = read_by_a_reader(instance.status_url, "/history.atom")
        assert len(feed["items"]) == 6
        assert feed["items"][-1]["title"] == "Investigating: Apps fail"
        assert feed["items"][-1]["content"] == "<p>We look &amp; listen.</p>\n<p>Soon &lt;more&gt;.</p>"
        request = urllib.request.Request(f"{instance.status_url}/", headers={"Accept-Encoding": "gzip"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
