#!/usr/bin/env python3
"""Goes through both vector indexes, file by file: `coffer` must give what the index records.

A kind of file that nothing here knows fails the test, so that no vector is passed over in silence.
Reports, quotes, tables, ID blocks, measurements and registers are the other tests' (BY_OTHERS says
which); all the rest is compared here.

usage: vector_index_test.py COFFER VECTORS; exit 77 (skipped) when the vectors are absent.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

COFFER = ""
VECTORS = pathlib.Path()

BY_OTHERS = {
    "report": "cli_snp_vectors_test",
    "report-parse": "cli_snp_vectors_test",
    "vek-negative": "cli_snp_vectors_test",
    "measurement": "cli_snp_vectors_test",
    "measurement-input": "cli_snp_vectors_test",
    "idblock": "cli_snp_vectors_test",
    "idblock-key": "cli_snp_vectors_test",
    "synthetic-report": "cli_snp_vectors_test",
    "synthetic-cases": "cli_snp_vectors_test, cli_evidence_tdx_test",
    "synthetic-quote": "cli_evidence_tdx_test",
    "synthetic-collateral": "cli_evidence_tdx_test",
    "quote": "cli_evidence_tdx_test",
    "tests": "cli_evidence_tdx_test",
    "tdvf": "cli_tdx_measure_vectors_test",
    "eventlog-json": "cli_tdx_measure_vectors_test",
    "rtmr-constants": "cli_tdx_measure_vectors_test",
    "rtmr-recompute": "cli_tdx_measure_vectors_test",
}


def run(*args):
    return subprocess.run([COFFER, *map(str, args)], capture_output=True, text=True, timeout=60)


def index(tee):
    return json.loads((VECTORS / tee / "INDEX.json").read_text())["files"]


def utc(text):
    return text.replace("+00:00", "Z")


class Index(unittest.TestCase):
    def show(self, path):
        ran = run("evidence", "show", path, "--json")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        return json.loads(ran.stdout)

    def same(self, shown, entry, names):
        for ours, theirs in names.items():
            if theirs in entry:
                want = entry[theirs]
                self.assertEqual(shown[ours], utc(want) if isinstance(want, str) else want, ours)

    # --- certificates and revocation lists

    def one_certificate(self, path):
        shown = self.show(path)
        self.assertEqual(len(shown["certificates"]), 1)
        return shown["certificates"][0]

    def trust_root(self, path, entry):
        shown = self.one_certificate(path)
        self.same(shown, entry, {"common_name": "subject_cn", "sha256": "sha256_fingerprint_der",
                                 "not_before": "not_before", "not_after": "not_after"})
        if "serial" in entry:
            self.assertEqual(int(shown["serial"], 16), int(entry["serial"], 16))

    def vek(self, path, entry):
        shown = self.one_certificate(path)
        self.same(shown, entry, {"not_before": "not_before", "not_after": "not_after"})
        want = entry["extensions"]
        self.same(shown, want, {"product_name": "product_name", "hwid": "hwid",
                                "csp_id": "csp_id", "struct_version": "struct_version"})
        for part, value in shown["tcb"].items():
            self.assertEqual(value, want["spl9" if part == "fmc" and "fmc" not in want else part])

    def cert_chain(self, path, entry):
        names = [one["common_name"] for one in self.show(path)["certificates"]]
        self.assertEqual(names, entry["order"])

    def pck_chain(self, path, entry):
        leaf, ca, _ = self.show(path)["certificates"]
        self.assertEqual(ca["common_name"], entry["ca"])
        self.assertEqual([leaf["not_before"], leaf["not_after"]], list(map(utc, entry["validity"])))
        self.same(leaf, entry["pck"], {"fmspc": "fmspc", "pce_id": "pceid", "pce_svn": "pcesvn",
                                       "tcb_components": "comps", "cpu_svn": "cpusvn",
                                       "sgx_type": "sgx_type"})

    def chain(self, path, entry):
        signer = self.show(path)["certificates"][0]
        self.same(signer, entry, {"not_before": "not_before", "not_after": "not_after"})

    def crl(self, path, entry):
        (shown,) = self.show(path)["crls"]
        self.same(shown, entry, {"this_update": "this_update", "next_update": "next_update"})
        if "revoked" in entry:
            self.assertEqual(shown["revoked"], entry["revoked"])
        if "issuer" in entry:
            self.assertIn(f"CN={shown['issuer_common_name']}", entry["issuer"])

    def cert_table(self, path, entry):
        if entry["expected_verdict"] == "empty":
            self.assertEqual(self.show(path)["entries"], [])
            return
        shown = self.show(path)["entries"]
        if "entries" not in entry:
            self.assertIn("VLEK" if "vlek" in path.name else "VCEK", shown)
            return
        # An unknown GUID is kept as such.
        want = [n if n in ("VCEK", "VLEK", "ASK", "ARK", "CRL") else None for n in entry["entries"]]
        self.assertEqual(len(shown), len(want))
        for got, name in zip(shown, want):
            self.assertIn(got, [name] if name else ["ASK", "other"])

    def bad_cert_table(self, path, _):
        ran = run("evidence", "show", path, "--json")
        self.assertEqual((ran.returncode, ran.stdout), (2, ""))

    # --- collateral

    def tcb_info(self, path, entry):
        if entry["id"] != "TDX":  # SGX's is read by nothing here, and refused by its name
            ran = run("evidence", "show", path)
            self.assertEqual(ran.returncode, 2)
            self.assertIn("id", ran.stderr)
            return
        self.same(self.show(path), entry, {
            "id": "id", "version": "version", "fmspc": "fmspc", "issue_date": "issue",
            "next_update": "next_update",
            "tcb_evaluation_data_number": "tcb_evaluation_data_number"})

    def qe_identity(self, path, entry):
        self.same(self.show(path), entry, {"id": "id", "version": "version", "issue_date": "issue",
                                           "next_update": "next_update"})

    def collateral_of_a_test_root(self, path, _):
        ran = run("evidence", "show", path)
        if path.name == "tcbInfo.json":  # SVNs above 255
            self.assertEqual(ran.returncode, 2)
            self.assertIn("svn", ran.stderr)
        else:
            self.assertEqual(ran.returncode, 0, ran.stderr)

    def quote_negative(self, path, _):
        folder = VECTORS / "tdx/collateral/qvl_testroot"
        ran = run("evidence", "verify", "--tee", "tdx", "--quote", path, "--collateral", folder,
                  "--time", "2023-11-14T22:13:20Z", "--json")
        self.assertEqual(ran.returncode, 1, ran.stderr)
        failed = {c["name"] for c in json.loads(ran.stdout)["checks"] if not c["ok"]}
        self.assertLessEqual({"tcb_info.format", "tcb_signing_chain.root", "pck_chain.format"},
                             failed)

    # --- logs and registers

    def ccel(self, path, entry):
        shown = self.show(path)
        self.assertEqual(len(shown["events"]), entry["events"])
        replayed = shown["registers"]["sha384"]
        for i in range(4):
            want = entry["expected_rtmr"][f"rtmr{i}"]
            self.assertEqual(replayed.get(str(i + 1), "00" * 48), want)
        second = any("second separator" in a for a in shown["anomalies"]["sha384"])
        self.assertTrue(second or "dupe_separator" not in path.name)

    def tpm_eventlog(self, path, entry):
        shown = self.show(path)
        locality = any(e["type"] == "EV_NO_ACTION" for e in shown["events"])
        for bank, pcrs in entry["replayed_pcrs"].items():
            for pcr, want in pcrs.items():
                # The index replays PCR 0 from zero, whatever the startup locality.
                if pcr != "0" or not locality:
                    self.assertEqual(shown["registers"][bank][pcr], want, (bank, pcr))

    def acpi_ccel(self, path, entry):
        want = entry["expected"]
        self.same(self.show(path), want, {"cc_type": "cc_type", "cc_subtype": "subtype",
                                          "log_area_length": "laml", "log_area_start": "lasa"})

    def tdreport(self, path, entry):
        want = entry["expected"]
        shown = self.show(path)
        self.same(shown, want, {"report_type": "report_type", "report_data": "reportdata",
                                "tee_tcb_svn": "tee_tcb_svn", "td_attributes": "td_attributes",
                                "xfam": "xfam", "mr_td": "mrtd", "mr_config_id": "mrconfigid"})
        self.assertEqual([shown[f"rtmr_{i}"] for i in range(4)], want["rtmr"])

    # --- vTPMs

    def hcl(self, path, entry):
        self.same(self.show(path), entry, {"runtime_data_sha256": "runtime_data_sha256"})

    def tpm_quote(self, path, entry):
        want = entry["parsed"]
        shown = self.show(path)
        self.same(shown, want, {"type": "type", "qualified_signer": "name", "extra_data": "extra",
                                "clock": "clock", "reset_count": "reset", "pcr_digest": "digest",
                                "restart_count": "restart", "firmware_version": "fw"})
        self.assertEqual(list(shown["selection"].values()), [pcrs for _, pcrs in want["sel"]])
        self.tpm_verdict(path, want)

    def tpm_verdict(self, path, want):
        stem = path.name.removesuffix("_tpm_attest.bin")
        signature = next(path.parent.glob(f"{stem}_tpm_sig*.bin"))
        pcrs = path.parent / f"{stem}_pcrs.json"
        args = ["evidence", "verify", "--tee", "tpm", "--quote", path, "--signature", signature,
                "--nonce", want["extra"], "--json"]
        hcl = path.parent / f"{stem}_hcl_report.bin"
        if hcl.exists():
            digest = self.show(hcl)["runtime_data_sha256"]
            args += ["--ak", hcl, "--hardware-report-data", digest + "00" * 32]
        else:
            args += ["--ak", next(path.parent.glob(f"{stem}_ak*"))]
        with tempfile.NamedTemporaryFile("w", suffix=".json") as none:
            none.write('{"sha256":{}}')
            none.flush()
            ran = run(*args, "--pcrs", pcrs if pcrs.exists() else none.name)
        failed = [c["name"] for c in json.loads(ran.stdout)["checks"] if not c["ok"]]
        # Without the values that were quoted, nothing but their digest can be missing.
        self.assertEqual(failed, [] if pcrs.exists() else ["pcr_digest"])

    # --- the walk

    KINDS = {
        "trust-root": trust_root, "intermediate": trust_root, "vek": vek, "cert-chain": cert_chain,
        "pck-chain": pck_chain, "tcb-signing-chain": chain, "crl-issuer-chain": chain, "crl": crl,
        "synthetic-pki": chain, "synthetic-crl": crl, "cert-table": cert_table,
        "cert-table-negative": bad_cert_table, "tcb-info": tcb_info, "qe-identity": qe_identity,
        "collateral-testroot": collateral_of_a_test_root, "quote-negative": quote_negative,
        "ccel": ccel, "tpm-eventlog": tpm_eventlog, "acpi-ccel": acpi_ccel, "tdreport": tdreport,
        "azure-hcl": hcl, "tpm-quote": tpm_quote,
    }
    # Read together with a file above, or no vector but a key to make more of them with.
    PARTS = {"tpm-quote-sig", "tpm-pcrs", "tpm-ak", "synthetic-key"}

    def test_every_file_of_the_indexes(self):
        for tee in ("snp", "tdx"):
            entries = index(tee)
            self.assertGreater(len(entries), 100)
            for entry in entries:
                kind = entry["kind"]
                if kind in BY_OTHERS or kind in self.PARTS:
                    continue
                with self.subTest(entry["file"]):
                    self.assertIn(kind, self.KINDS)
                    self.KINDS[kind](self, VECTORS / tee / entry["file"], entry)

    def test_rtmr0_from_a_recorded_log(self):
        firmware = VECTORS / "tdx/mrtd/OVMF.inteltdx.fd"
        for entry in index("tdx"):
            if entry["kind"] != "ccel":
                continue
            ran = run("measure", "tdx", "--firmware", firmware, "--rtmr0-log",
                      VECTORS / "tdx" / entry["file"], "--output-format", "json")
            self.assertEqual(ran.returncode, 0, ran.stderr)
            self.assertEqual(json.loads(ran.stdout)["rtmr_0"], entry["expected_rtmr"]["rtmr0"])


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    COFFER, VECTORS = sys.argv[1], pathlib.Path(sys.argv[2])
    if not VECTORS.is_dir():
        print(f"no vectors at {VECTORS}")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
