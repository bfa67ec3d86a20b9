"""`tools/slim`: an environment without what a server never reads still runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.repository import ROOT

PACKAGES = (
    *("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six.py", "urllib3", "uvloop"),
    *("alembic", "mako", "markupsafe", "sqlalchemy", "typing_extensions.py"),
)
USE = """
import alembic.command, alembic.migration, boto3, sqlalchemy, uvloop
with sqlalchemy.create_engine("sqlite://").connect() as connection:
    alembic.migration.MigrationContext.configure(connection).get_current_revision()
client = boto3.client("s3", region_name="a", aws_access_key_id="b", aws_secret_access_key="c")
print(client.generate_presigned_url("get_object", Params={"Bucket": "birds", "Key": "egg"}))
uvloop.new_event_loop().close()
"""


def size_of(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def test_an_environment_is_smaller_and_its_loop_its_migrations_and_its_s3_client_work(tmp_path):
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    target = venv / "lib" / version / "site-packages"
    for name in PACKAGES:
        source = Path(sysconfig.get_path("platlib")) / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target / name)
    before = size_of(target)
    for _ in range(2):
        done = subprocess.run([ROOT / "tools" / "slim", venv], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sorted(path.name for path in (target / "botocore" / "data").iterdir() if path.is_dir()) == ["s3"]
    if shutil.which("strip"):
        assert before - size_of(target) > 30_000_000
    used = subprocess.run([venv / "bin" / "python", "-c", USE], capture_output=True, text=True, check=False)
    assert used.stdout.startswith("https://birds.s3"), used.stderr
