"""A boot that firmware measures into a TPM, from the guest's quote to the host's verdict.

QEMU (emulated) boots OVMF with swtpm behind it; OVMF and the kernel's stub measure; our attester
takes a quote and the event log in the guest; the host verifies them with the built `coffer`, and
compares the PCRs with those that `coffer measure tpm` computes from kernel, initrd and command
line.
"""

import base64
import json
import os
import pathlib
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

from boot_files import cpio_with, padded

BUILD = pathlib.Path(os.environ.get("COFFER_BUILD", "build")).resolve()
PATIENCE = float(os.environ.get("COFFER_E2E_PATIENCE", "240"))
COFFER = BUILD / "bin/coffer"
INIT = BUILD / "bin/measured_guest"
OVMF_CODE = pathlib.Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
OVMF_VARS = pathlib.Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
COMMAND_LINE = "console=ttyS0 panic=-1"
MEMORY = "512M"


def kernel_package():
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
    packages = sorted(cache.glob("coffer/kernel/linux-image-*.deb"))
    return packages[-1] if packages else None


def what_is_missing():
    for path in (COFFER, INIT, OVMF_CODE, OVMF_VARS):
        if not path.exists():
            return f"no {path}"
    for program in ("qemu-system-x86_64", "swtpm", "swtpm_setup"):
        if shutil.which(program) is None:
            return f"no {program}"
    return None if kernel_package() else "no kernel package (run scripts/setup)"


def run(*args):
    return subprocess.run([str(arg) for arg in args], check=True, capture_output=True, text=True)


class Machine:
    """One boot, until its guest has answered."""

    def __init__(self, folder, kernel, initrd, command_line):
        self.folder = pathlib.Path(folder)
        self.processes = []
        state = self.folder / "tpm"
        state.mkdir(parents=True)
        # One bank: firmware under emulation hashes everything once for each.
        run("swtpm_setup", "--tpm2", "--tpmstate", state, "--pcr-banks", "sha256",
            "--config", self._config())
        shutil.copy(OVMF_VARS, self.folder / "vars.fd")
        self.port, guest_port = socket.socketpair()
        self.port.settimeout(PATIENCE)
        tpm, tpm_control = socket.socketpair()
        with guest_port, tpm, tpm_control:
            self._start("swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}",
                        "--ctrl", f"type=unixio,clientfd={tpm_control.fileno()}",
                        keep=[tpm_control])
            self._start(
                "qemu-system-x86_64", "-machine", "q35,smm=off", "-accel", "tcg", "-cpu", "max",
                "-m", MEMORY, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                "-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={OVMF_CODE}",
                "-drive", f"if=pflash,format=raw,unit=1,file={self.folder / 'vars.fd'}",
                "-chardev", f"socket,id=tpm,fd={tpm.fileno()}",
                "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm0",
                "-serial", f"file:{self.folder / 'console'}",
                "-chardev", f"socket,id=port,fd={guest_port.fileno()}", "-serial", "chardev:port",
                "-kernel", str(kernel), "-initrd", str(initrd), "-append", command_line,
                keep=[tpm, guest_port])

    def _config(self):
        """swtpm_setup's own would look for a certificate authority."""
        path = self.folder / "swtpm_setup.conf"
        path.write_text("")
        return path

    def _start(self, *args, keep):
        with open(self.folder / f"{args[0]}.log", "wb") as log:
            self.processes.append(subprocess.Popen(
                args, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                pass_fds=[one.fileno() for one in keep]))

    def _line(self, lines):
        line = lines.readline()
        if not line.endswith("\n"):
            console = (self.folder / "console").read_text(errors="replace")
            raise AssertionError("the guest said no more; its console:\n" + console[-4000:])
        return line.strip()

    def evidence(self, nonce):
        """Writes what the guest answers into files, and returns coffer's options for them."""
        with self.port.makefile("r", encoding="utf-8", errors="replace") as lines:
            # Firmware writes on every serial port that it finds.
            while not self._line(lines).endswith("measured guest ready"):
                pass
            self.port.sendall(nonce.hex().encode() + b"\n")
            answer = json.loads(self._line(lines))
        if "error" in answer:
            raise AssertionError(answer["error"])
        files = {"quote": base64.b64decode(answer["attest"]),
                 "signature": base64.b64decode(answer["signature"]),
                 "ak": base64.b64decode(answer["ak_public"]),
                 "event-log": base64.b64decode(answer["event_log"]),
                 "pcrs": json.dumps(answer["pcrs"]).encode()}
        options = []
        for name, content in files.items():
            (self.folder / name).write_bytes(content)
            options += [f"--{name}", self.folder / name]
        return options

    def close(self):
        self.port.close()
        for process in reversed(self.processes):
            process.kill()
            process.wait()


class MeasuredBootTest(unittest.TestCase):
    """Three boots: as wanted, with one byte of the command line changed, with one of the initrd."""

    @classmethod
    def setUpClass(cls):
        missing = what_is_missing()
        if missing:
            raise unittest.SkipTest(missing)
        folder = tempfile.TemporaryDirectory(prefix="coffer-measured-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        image = cls.folder / "image"
        run(COFFER, "guest-image", "build", "--output", image, "--agent", INIT,
            "--kernel-package", kernel_package(), "--level", "3")
        cls.kernel = image / "vmlinuz.container"
        base = padded((image / "kata-containers-initrd.img").read_bytes())
        cls.initrd = cls.folder / "initrd"
        cls.initrd.write_bytes(base + cpio_with(b"marker", b"A"))
        cls.other_initrd = cls.folder / "other-initrd"
        cls.other_initrd.write_bytes(base + cpio_with(b"marker", b"B"))
        cls.nonce = secrets.token_bytes(32)
        cls.good = cls.boot("good", cls.initrd, COMMAND_LINE)
        cls.other_line = cls.boot("other-line", cls.initrd, COMMAND_LINE.replace("-1", "-2"))
        cls.other_file = cls.boot("other-file", cls.other_initrd, COMMAND_LINE)
        # What depends on firmware and machine, recorded from another boot of them.
        cls.wanted = ["--kernel", cls.kernel, "--initrd", cls.initrd, "--append", COMMAND_LINE,
                      "--memory", MEMORY, "--reference-log",
                      cls.folder / "other-file/event-log"]

    @classmethod
    def boot(cls, name, initrd, command_line):
        machine = Machine(cls.folder / name, cls.kernel, initrd, command_line)
        try:
            return machine.evidence(cls.nonce)
        finally:
            machine.close()

    def verify(self, evidence, *more):
        """The names of the failed checks."""
        done = subprocess.run(
            [str(arg) for arg in (COFFER, "evidence", "verify", "--tee", "tpm", "--json",
                                  *evidence, *(more or ("--nonce", self.nonce.hex())))],
            capture_output=True, text=True, check=False)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        verdict = json.loads(done.stdout)
        failed = [check["name"] for check in verdict["checks"] if not check["ok"]]
        self.assertEqual(verdict["verified"], not failed)
        self.assertEqual(done.returncode, 1 if failed else 0)
        return failed

    def test_quote_and_log_verify_and_are_of_the_wanted_boot(self):
        self.assertEqual(self.verify(self.good), [])
        self.assertEqual(
            self.verify(self.good, "--nonce", self.nonce.hex(), *self.wanted), [])

    def test_predicted_pcrs_are_the_quoted_ones(self):
        predicted = json.loads(
            run(COFFER, "measure", "tpm", *self.wanted, "--output-format", "json").stdout)
        quoted = json.loads((self.folder / "good/pcrs").read_text())
        self.assertEqual(sorted(map(int, predicted["sha256"])), [0, 1, 2, 3, 4, 5, 6, 7, 9])
        for pcr, value in predicted["sha256"].items():
            self.assertEqual(value, quoted["sha256"][pcr], f"PCR {pcr}")

    def test_a_changed_byte_of_the_command_line_is_named(self):
        self.assertEqual(self.verify(self.other_line), [])
        self.assertEqual(
            self.verify(self.other_line, "--nonce", self.nonce.hex(), *self.wanted),
            ["expect.pcr_9", "boot.command_line"])

    def test_a_changed_byte_of_the_initrd_is_named(self):
        self.assertEqual(self.verify(self.other_file), [])
        self.assertEqual(
            self.verify(self.other_file, "--nonce", self.nonce.hex(), *self.wanted),
            ["expect.pcr_9", "boot.initrd"])

    def test_another_nonce_is_refused(self):
        self.assertEqual(self.verify(self.good, "--nonce", "00" * 32), ["nonce"])

    def test_another_boots_log_is_refused(self):
        swapped = list(self.good)
        swapped[swapped.index("--event-log") + 1] = self.folder / "other-line/event-log"
        # PCR 10 holds Linux' aggregate of the PCRs as they were quoted.
        self.assertEqual(self.verify(swapped), ["event_log.pcr_9"])


if __name__ == "__main__":
    if what_is_missing():
        print(f"skipped: {what_is_missing()}", file=sys.stderr)
        sys.exit(77)
    unittest.main(verbosity=2)
