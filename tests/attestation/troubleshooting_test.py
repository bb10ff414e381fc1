#!/usr/bin/env python3
"""Every message that docs/attestation/troubleshooting.md explains is one that the sources write.

A message is the first column's text in backticks; between "..." each part must stand in the sources,
in one text or in adjacent ones, {} standing for anything short.
"""
import pathlib
import re
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("attestation", "base", "guest-agent", "shim", "tee", "cli", "configs")
# libcurl's and Trustee's own words.
FOREIGN = ("Could not resolve host", "Failed to connect", "timed out",
           "RCAR handshake Attest failed")
STATUS = re.compile(r"^\d{3} (\w+)(?:: ?)?")


def sources():
    text = []
    for folder in FOLDERS:
        for path in sorted((SOURCE / folder).rglob("*")):
            if path.suffix not in (".cc", ".h", ".rego"):
                continue
            content = path.read_text()
            content = re.sub(r'"\s*\n\s*"', "", content)  # adjacent literals are one
            text.append(content.replace('\\"', '"'))
    return "\n".join(text)


def messages():
    page = (SOURCE / "docs/attestation/troubleshooting.md").read_text()
    for line in page.splitlines():
        if line.startswith("| `"):
            yield from re.findall(r"`([^`]+)`", line.split(" | ")[0])


def parts_of(message):
    """What must stand in the sources: the variant of a status line, and each part of the text."""
    head = STATUS.match(message)
    if head:
        yield f'"{head.group(1)}"'
        message = message[head.end():]
    for part in message.split("..."):
        part = part.strip(" :'.*")
        if part:
            yield part


def main():
    text = sources()
    loose = re.sub(r"\{[^{}\n]{0,20}\}", "{}", text)
    missing, count = [], 0
    for message in messages():
        if message in FOREIGN:
            continue
        count += 1
        for part in parts_of(message):
            if part not in text and part not in loose:
                missing.append(f"'{message}': nothing says '{part}'")
    if missing or count < 40:
        print("\n".join(missing) or f"only {count} messages found")
        return 1
    print(f"{count} messages stand in the sources")
    return 0


if __name__ == "__main__":
    sys.exit(main())
