#!/usr/bin/env python3
"""Runs `coffer` over every SNP vector: verdicts, key values, measurements, ID blocks, tables.

usage: snp_vectors_test.py COFFER VECTORS; exit 77 (skipped) when the vectors are absent.
"""

import hashlib
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest
import uuid

COFFER = ""
SNP = pathlib.Path()


def coffer(*args):
    return subprocess.run([COFFER, *map(str, args)], capture_output=True, text=True, timeout=60)


def load(name):
    return json.loads((SNP / name).read_text())


def verify(entry, chain, policy=None, report=None):
    args = ["--tee", "snp", "--report", SNP / (report or entry.get("report") or entry["file"])]
    for file in chain:
        args += ["--certs", SNP / file]
    if "trusted_root" in entry:
        args += ["--trusted-root", SNP / entry["trusted_root"]]
    if entry.get("crl"):
        args += ["--crl", SNP / entry["crl"]]
    args += ["--product", entry["product"], "--time", entry["verify_time"], "--json"]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        if policy:
            json.dump(policy, file)
            file.flush()
            args += ["--policy", file.name]
        return coffer("evidence", "verify", *args)


def failures(verdict):
    return sorted(check["name"] for check in verdict["checks"] if not check["ok"])


class Verdicts(unittest.TestCase):
    def judge(self, ran, accept):
        """The verdict, after comparing exit status and JSON with what must come out."""
        self.assertIn(ran.returncode, (0, 1), ran.stderr)
        verdict = json.loads(ran.stdout)
        self.assertEqual(verdict["verified"], accept, failures(verdict))
        self.assertEqual(ran.returncode, 0 if accept else 1)
        self.assertEqual(bool(failures(verdict)), not accept)
        return verdict

    def test_synthetic_cases(self):
        cases = load("synthetic/cases.json")["cases"]
        self.assertGreaterEqual(len(cases), 68)
        for case in cases:
            with self.subTest(case["id"]):
                ran = verify(case, case["chain"], case.get("policy"))
                if case["expect"] == "implementation-defined":
                    self.assertIn(ran.returncode, (0, 1), ran.stderr)
                else:
                    self.judge(ran, case["expect"] == "accept")

    def test_real_reports_and_their_values(self):
        entries = [e for e in load("INDEX.json")["files"] if e["kind"] == "report"]
        self.assertGreaterEqual(len(entries), 11)
        for entry in entries:
            with self.subTest(entry["file"]):
                verdict = self.judge(
                    verify(entry, entry["cert_chain"]), entry["expected_verdict"] == "accept"
                )
                self.assertFalse(verdict["emulated"])
                for key, value in entry["expected"].items():
                    self.assertEqual(verdict["claims"][key], value, key)
                self.assertEqual(verdict["claims"]["version"], entry["report_version"])

    def test_a_debug_report_is_accepted_only_when_asked(self):
        entries = [e for e in load("INDEX.json")["files"] if e["kind"] == "report"]
        debug = [e for e in entries if e["expected_verdict"] == "reject-by-default-policy"]
        self.assertTrue(debug)
        for entry in debug:
            with self.subTest(entry["file"]):
                chain = entry["cert_chain"]
                verdict = self.judge(verify(entry, chain), False)
                self.assertEqual(failures(verdict), ["policy.debug"])
                self.judge(verify(entry, chain, {"allow_debug": True}), True)

    def test_reports_without_a_leaf_show_their_values(self):
        for entry in load("INDEX.json")["files"]:
            if entry["kind"] != "report-parse":
                continue
            with self.subTest(entry["file"]):
                ran = coffer("evidence", "show", SNP / entry["file"], "--tee", "snp", "--json")
                self.assertEqual(ran.returncode, 0, ran.stderr)
                shown = json.loads(ran.stdout)
                self.assertEqual(shown["faults"], [])
                for key, value in entry["expected"].items():
                    got = shown["claims"][key]
                    self.assertEqual(int(got, 16) if key == "policy" else got, value, key)

    def test_a_certificate_that_amd_never_signed(self):
        index = load("INDEX.json")["files"]
        report = next(e for e in index if e["file"] == "reports/milan_v2_trustee.bin")
        for entry in index:
            if entry["kind"] == "vek-negative":
                verdict = self.judge(verify(report, [entry["file"], "certs/milan_ask.pem"]), False)
                self.assertIn("chain.leaf_signature", failures(verdict))

    def test_hcl_reports_hold_the_reports_of_the_index(self):
        for entry in load("INDEX.json")["files"]:
            if entry["kind"] != "azure-hcl":
                continue
            with self.subTest(entry["file"]), tempfile.NamedTemporaryFile() as file:
                file.write((SNP / entry["file"]).read_bytes()[32 : 32 + 1184])
                file.flush()
                ran = coffer("evidence", "show", file.name, "--tee", "snp", "--json")
                self.assertEqual(ran.returncode, 0, ran.stderr)
                claims = json.loads(ran.stdout)["claims"]
                self.assertEqual(claims["report_data"], entry["runtime_data_sha256"] + "00" * 32)

    def test_certificate_tables(self):
        index = load("INDEX.json")["files"]
        reports = {e["file"]: e for e in index if e["kind"] == "report"}
        owner = {
            "certtable/milan_vcek_ask_ark.bin": "reports/milan_v3_mstav.bin",
            "certtable/vlek_asvk_ark_unknown.bin": "reports/milan_v3_vlek_aws.bin",
        }
        for entry in index:
            if not entry["kind"].startswith("cert-table"):
                continue
            name = entry["file"]
            with self.subTest(name):
                report = reports[owner.get(name, "reports/milan_v3_mstav.bin")]
                ran = verify(report, [name])
                if entry["expected_verdict"] == "accept":
                    self.judge(ran, True)
                elif entry["expected_verdict"] == "empty":
                    self.assertEqual(failures(self.judge(ran, False))[0], "chain.leaf")
                else:
                    self.assertEqual((ran.returncode, ran.stdout), (2, ""))
                    self.assertIn(name, ran.stderr)


MODES = {"SevMode.SEV_SNP": "snp", "SevMode.SEV_SNP_SVSM": "snp-svsm", "SevMode.SEV_ES": "seves"}


def measure(case, empty):
    mode = case["mode"]
    args = [MODES.get(mode, mode.replace("SevMode.SEV", "sev"))]
    if "vcpus" in case:
        args += ["--vcpus", case["vcpus"]]
    if case.get("vcpu_type"):
        args += ["--vcpu-type", case["vcpu_type"]]
    elif case.get("vcpu_sig"):
        args += ["--vcpu-sig", case["vcpu_sig"]]
    folder = SNP / "measurement"
    args += ["--ovmf", folder / case["ovmf"]]
    for key in ("kernel", "initrd"):
        value = case.get(key)
        if value:
            args += [f"--{key}", empty if value == "empty-file" else folder / value]
    if case.get("append") is not None:
        args += ["--append", case["append"]]
    if case.get("sev_features"):
        args += ["--guest-features", case["sev_features"]]
    if case.get("vmm"):
        args += ["--vmm-type", case["vmm"]]
    if case.get("ovmf_hash_seed"):
        args += ["--snp-ovmf-hash", case["ovmf_hash_seed"]]
    if case.get("svsm"):
        args += ["--svsm", folder / case["svsm"], "--vars-size", case["ovmf_vars_size"]]
    return coffer("measure", *args)


class Measurements(unittest.TestCase):
    def test_every_case_is_equal_to_the_last_bit(self):
        seen = 0
        with tempfile.NamedTemporaryFile() as empty:
            for name in ("measurement/expected.json", "measurement/published.json"):
                for case in load(name)["cases"]:
                    seen += 1
                    with self.subTest(case.get("id") or case.get("test")):
                        ran = measure(case, empty.name)
                        if "expected_error" in case:
                            self.assertEqual((ran.returncode, ran.stdout), (2, ""))
                            self.assertTrue(ran.stderr.startswith("coffer: "), ran.stderr)
                        else:
                            self.assertEqual(ran.stdout, case["expected"] + "\n", ran.stderr)
                            self.assertEqual(ran.returncode, 0)
        self.assertGreaterEqual(seen, 204 + 18)


def guid_entry(guid, data):
    """An entry of the table at the firmware's end: it is read backwards."""
    return data + struct.pack("<H", len(data) + 18) + uuid.UUID(guid).bytes_le


def firmware_end(sections, hashes_table_gpa, ap_reset_eip):
    """The last bytes of an OVMF whose metadata says this, with nothing else in it."""
    size = 0x1000
    table = struct.pack("<4sIII", b"ASEV", 16 + 12 * len(sections), 1, len(sections))
    for section in sections:
        table += struct.pack("<III", int(section["gpa"], 16), section["size"], section["type"])
    entries = guid_entry("7255371f-3a3b-4b04-927b-1da6efa8d454",
                         struct.pack("<II", int(hashes_table_gpa, 16), 0x400))
    entries += guid_entry("00f771de-1a7e-4fcb-890e-68c77e2fb44e",
                          struct.pack("<I", int(ap_reset_eip, 16)))
    entries += guid_entry("dc886566-984a-4798-a75e-5585a7bf67cc", struct.pack("<I", size))
    footer = entries + struct.pack("<H", len(entries) + 18)
    footer += uuid.UUID("96b582de-1fb2-45f7-baea-a366c55a082d").bytes_le
    image = table + b"\0" * (size - len(table) - len(footer) - 32)
    return image + footer + b"\0" * 32


class Firmware(unittest.TestCase):
    def measure(self, *args):
        ran = coffer("measure", "snp", *args, "--output-format", "json")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        return json.loads(ran.stdout)

    def test_a_real_guest_from_the_digests_of_its_parts(self):
        """Its firmware is in no vector: what is known of it is its digest and its metadata."""
        want = load("measurement/real_hw_dstack.json")
        with tempfile.NamedTemporaryFile(suffix=".fd") as file:
            file.write(firmware_end(want["metadata_sections"], want["hashes_table_gpa"],
                                    want["ap_reset_eip"]))
            file.flush()
            got = self.measure(
                "--vcpus", want["vcpus"], "--vcpu-type", want["vcpu_type"], "--guest-features",
                want["sev_features"], "--ovmf", file.name, "--snp-ovmf-hash",
                want["ovmf_launch_digest_seed"], "--kernel-sha256", want["kernel_sha256"],
                "--initrd-sha256", want["initrd_sha256"], "--append", want["cmdline"])
        self.assertEqual(got["measurement"], want["expected_measurement"])
        self.assertEqual(got["vcpu_signature"], want["vcpu_sig"])
        ran = coffer("evidence", "show", SNP / "reports/milan_v3_dstack.bin", "--json")
        self.assertEqual(json.loads(ran.stdout)["claims"]["measurement"], got["measurement"])

    def test_metadata_of_recorded_firmware(self):
        entries = [e for e in load("INDEX.json")["files"] if "hash_table_gpa" in e]
        self.assertGreaterEqual(len(entries), 2)
        for entry in entries:
            with self.subTest(entry["file"]):
                got = self.measure("--vcpus", 1, "--vcpu-type", "EPYC-v4", "--ovmf",
                                   SNP / entry["file"])["firmware"]
                self.assertEqual(got["sections"], entry["sections"])
                self.assertEqual(got["ap_reset_eip"], entry["reset_eip"])
                self.assertEqual(got["hashes_table_gpa"] or "0x0", entry["hash_table_gpa"])

    def test_a_file_and_its_digest_exclude_each_other(self):
        kernel = SNP / "measurement/kernel.bin"
        args = ["--vcpus", 1, "--vcpu-type", "EPYC-v4", "--ovmf",
                SNP / "measurement/ovmf_AmdSev_suffix.bin"]
        digest = hashlib.sha256(kernel.read_bytes()).hexdigest()
        by_file = self.measure(*args, "--kernel", kernel, "--initrd", kernel)
        by_digest = self.measure(*args, "--kernel-sha256", digest, "--initrd-sha256", digest)
        self.assertEqual(by_file["measurement"], by_digest["measurement"])
        for both in (["--kernel", kernel, "--kernel-sha256", digest],
                     ["--kernel", kernel, "--initrd", kernel, "--initrd-sha256", digest],
                     ["--initrd-sha256", digest], ["--kernel-sha256", digest[2:]]):
            with self.subTest(both):
                ran = coffer("measure", "snp", *args, *both)
                self.assertEqual((ran.returncode, ran.stdout), (2, ""))
                self.assertTrue(ran.stderr.startswith("coffer: "), ran.stderr)


class IdBlocks(unittest.TestCase):
    def setUp(self):
        self.want = load("idblock/virtee.json")
        self.block = SNP / "idblock/virtee_id_block.bin"
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def check(self, block, auth):
        ran = coffer("evidence", "id-block", "--check", "--id-block", block, "--id-auth", auth,
                     "--json")
        self.assertIn(ran.returncode, (0, 1), ran.stderr)
        verdict = json.loads(ran.stdout)
        self.assertEqual(verdict["verified"], ran.returncode == 0)
        return verdict

    def test_recorded_blocks_check(self):
        for name in ("virtee_id_auth.bin", "virtee_auth_block_published.bin"):
            with self.subTest(name):
                verdict = self.check(self.block, SNP / "idblock" / name)
                self.assertTrue(verdict["verified"], failures(verdict))
                for key in ("id_key_digest", "author_key_digest", "policy"):
                    self.assertEqual(verdict["claims"][key], self.want[key])

    def test_a_block_is_made_signed_and_checks(self):
        block, auth = self.folder / "block", self.folder / "auth"
        ran = coffer(
            "evidence", "id-block", "--measurement", self.want["launch_digest"], "--policy",
            self.want["policy"], "--id-key", SNP / "idblock/virtee_id_key.pem", "--author-key",
            SNP / "idblock/virtee_author_key.pem", "--id-block", block, "--id-auth", auth, "--json",
        )
        self.assertEqual(ran.returncode, 0, ran.stderr)
        made = json.loads(ran.stdout)
        self.assertEqual(made["id_key_digest"], self.want["id_key_digest"])
        self.assertEqual(made["author_key_digest"], self.want["author_key_digest"])
        self.assertEqual(block.read_bytes(), self.block.read_bytes())
        self.assertTrue(self.check(block, auth)["verified"])
        # One bit of the measurement that was signed.
        changed = bytearray(block.read_bytes())
        changed[0] ^= 1
        block.write_bytes(changed)
        self.assertEqual(failures(self.check(block, auth)), ["id_auth.id_block_signature"])


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    COFFER, SNP = sys.argv[1], pathlib.Path(sys.argv[2]) / "snp"
    if not SNP.is_dir():
        print(f"no vectors at {SNP}")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
