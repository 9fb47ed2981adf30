#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run the benchmarks and print what they say: a table, or with --json their lines as they come.

A benchmark is bench/bench_NAME.py or BUILD/bench/bench-NAME; it is called with --json and prints an object a line:
name, value, unit, peer (what it is compared with, or null), ratio (value over the peer's; above 1 is better than the peer, or null).
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def benchmarks(build: pathlib.Path) -> dict[str, list[str]]:
    found = {}
    for path in sorted(build.glob("bench/bench-*")):
        if path.is_file() and os.access(path, os.X_OK):
            found[path.name.removeprefix("bench-")] = [str(path)]
    for path in sorted(HERE.glob("bench_*.py")):
        found[path.stem.removeprefix("bench_")] = [sys.executable, str(path)]
    return found


def run(name: str, command: list[str], build: pathlib.Path) -> tuple[list[dict], bool]:
    """The results of one benchmark, and whether it ended well."""
    environment = dict(os.environ, VOUCHSAFE_BUILD=str(build))
    process = subprocess.Popen(command + ["--json"], stdout=subprocess.PIPE, text=True, env=environment)
    rows = []
    for line in process.stdout:
        if line.startswith("{"):
            rows.append(json.loads(line))
    if process.wait() != 0:
        print(f"bench {name}: failed with status {process.returncode}", file=sys.stderr)
    return rows, process.returncode == 0


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    all_of_them = benchmarks(arguments.build.resolve())
    unknown = [name for name in arguments.names if name not in all_of_them]
    if unknown:
        print(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(all_of_them)}", file=sys.stderr)
        return 2
    good = True
    for name in arguments.names or all_of_them:
        print(f"… {name}", file=sys.stderr)
        rows, ended_well = run(name, all_of_them[name], arguments.build.resolve())
        good &= ended_well
        for row in rows:
            if arguments.json:
                print(json.dumps(row, ensure_ascii=False), flush=True)
                continue
            ratio = f"{row['ratio']:.2f} × {row['peer']}" if row.get("ratio") is not None else (row.get("peer") or "")
            print(f"{row['name']:<58} {number(row['value']):>12} {row['unit']:<16} {ratio}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
