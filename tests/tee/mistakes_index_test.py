#!/usr/bin/env python3
"""Every test that docs/attestation/known-mistakes.md names exists, and every row names one.

usage: mistakes_index_test.py SOURCE_DIR
"""

import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
tests = set()
for file in (root / "tests/tee").rglob("*.cc"):
    tests |= {".".join(found) for found in re.findall(r"^TEST(?:_F)?\((\w+), (\w+)\)", file.read_text(), re.M)}

rows = [line for line in (root / "docs/attestation/known-mistakes.md").read_text().splitlines()
        if line.startswith("| ") and not line.startswith("| Mistake ")]
problems = [] if len(rows) > 35 else [f"only {len(rows)} rows"]
for row in rows:
    named = re.findall(r"`([A-Z]\w+\.[A-Z]\w+)`", row)
    problems += [f"no test '{name}'" for name in named if name not in tests]
    if not named:
        problems.append(f"no test in row: {row}")
sys.exit("\n".join(problems) or 0)
