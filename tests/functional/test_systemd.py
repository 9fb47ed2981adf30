# SPDX-License-Identifier: Apache-2.0
"""The service file: what systemd itself says of it, and a server under a real systemd. Skipped where there is none."""
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402

UNIT = harness.ROOT / "packaging/vouchsafe.service"
needs_analyze = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")


@needs_analyze
def test_systemd_understands_the_unit(tmp_path):
    unit = tmp_path / "vouchsafe.service"
    unit.write_text(UNIT.read_text().replace("/usr/sbin/vouchsafed", str(harness.DAEMON)))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    said = [line for line in done.stderr.splitlines() if "vouchsafe" in line]
    assert done.returncode == 0 and not said, done.stderr


@needs_analyze
def test_the_unit_exposes_little():
    """Beyond 2.0 of 10 some protection was lost."""
    done = subprocess.run(["systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=20", UNIT], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_service_under_a_real_systemd():
    build = harness.BUILD.relative_to(harness.ROOT) if harness.BUILD.is_relative_to(harness.ROOT) else None
    if build != pathlib.Path("build"):
        pytest.skip("the build is not where the script looks for it")
    done = subprocess.run([harness.ROOT / "tests/with-systemd", pathlib.Path(__file__).with_name("systemd.sh")], capture_output=True, text=True,
                          env=dict(os.environ, LC_ALL="C.UTF-8"), timeout=180)
    if done.returncode == 77:
        pytest.skip(done.stdout.strip() or "systemd cannot be booted here")
    assert done.returncode == 0 and "The service did all that it should." in done.stdout, done.stdout[-6000:] + done.stderr
