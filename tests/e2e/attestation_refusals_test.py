"""What must end without a secret: each thing that a host could change of a pod. The pod's error and
the broker's record name the cause."""
import json
import re
import unittest

from attestation import POLICY, KbsClassTest, coffer
from boot_files import cpio_with, padded, with_other_version_text
from e2e import BUILD, IS_VM, main
from lab.kbs import PrivateKbs

BOOT_FILES = BUILD / "share/kata-containers"


class RefusalsTest(KbsClassTest):
    """The reference values are those of this class, whose initrd and command line end with an A."""

    @classmethod
    def class_changes(cls):
        image = padded((BOOT_FILES / "kata-containers-initrd-dev.img").read_bytes())
        for letter in "AB":
            (cls.folder / f"initrd-{letter}").write_bytes(
                image + cpio_with(b"marker", letter.encode()))
        kernel = (BOOT_FILES / "vmlinuz.container").read_bytes()
        (cls.folder / "other-kernel").write_bytes(with_other_version_text(kernel))
        return {"initrd": f'"{cls.folder}/initrd-A"', "kernel_params": '"coffer.test=A"'}

    def refusal(self, name, annotations):
        """The error of a pod that must not start, and the record that it names."""
        said = self.refused(name, annotations=annotations)
        self.assertIn(f"attest to '{self.url}'", said)
        named = re.search(r"attestation ([0-9a-f]{24})", said)
        self.assertTrue(named, said)
        record = self.kbs.attestation(named.group(1))
        self.assertEqual((record["outcome"], record["tee"]), ("refused", self.tee))
        self.assertEqual(record["resources"], [])
        return said, record

    def refused_launch(self, key, value):
        """The record of a pod with this one thing of its launch changed."""
        self.with_changes(**{key: f'"{value}"'})
        said, record = self.refusal(key.replace("_", ""), self.annotation())
        self.assertIn("cpu0 is warning (executables)", said)
        self.assertIn("cpu0 is warning (executables)", record["reason"])
        return record

    def check_another_agent_policy(self):
        """The host starts the pod with initdata of its own, everything else as it should be: the
        same class, broker and certificate, but another agent policy."""
        pod, sandbox = self.run_pod("pinned", annotations=self.annotation())
        self.assertIn("the secret", self.read_secret(pod, sandbox, "good"))
        self.remove_pod(pod)
        wanted = self.initdata_values()
        other = self.annotation(policy=POLICY + "# other\n", registered=False)
        found = self.initdata_values("--tee", self.tee)[0]
        said, record = self.refusal("policy", other)
        cause = "cpu0 is warning (configuration)"
        self.assertIn(f"{cause}: reference values init_data (no match)", said)
        want = json.dumps(wanted, separators=(",", ":"))
        self.assertTrue(record["reason"].startswith(
            f'{cause}; init_data: want {want}, got "{found}"'), record["reason"])
        [asked] = [one for one in record["parts"][0]["reference_values"]
                   if one["name"] == "init_data"]
        self.assertEqual(asked, {"name": "init_data", "finding": "found", "value": wanted,
                                 "unmatched": [found]})
        told = self.kbs.coffer("attestations", "--id", record["id"])
        self.assertIn(f"reason: {cause}; init_data: want", told)
        self.assertRegex(told, f'reference value init_data +found .*, and not "{found}"')
        # Nor with nothing registered at all.
        self.kbs.change_reference_values("delete", "init_data")
        said, record = self.refusal("unknown", other)
        self.assertIn(f"{cause}: reference values init_data (missing)", said)
        self.assertIn(f'init_data: want missing, got "{found}"', record["reason"])
        self.assertEqual(record["parts"][0]["missing_reference_values"], ["init_data"])

    def initdata_values(self, *options):
        """What a broker is told of the last annotation."""
        [value] = json.loads(coffer("initdata", "digest", "--output-format", "reference-values",
                                    *options, str(self.folder / "initdata.toml")))
        return value["value"]


@unittest.skipUnless(IS_VM, "needs a VM")
class SnpRefusalsTest(RefusalsTest):
    """SNP: one measurement covers the whole boot."""

    def test_one_changed_byte_of_the_boot(self):
        [wanted] = self.values["snp_launch_measurement"]
        for key, value in (("initrd", self.folder / "initrd-B"),
                           ("kernel", self.folder / "other-kernel"),
                           ("kernel_params", "coffer.test=B")):
            with self.subTest(key):
                record = self.refused_launch(key, value)
                self.assertNotEqual(record["claims"]["measurement"], wanted)
                [asked] = [one for one in record["parts"][0]["reference_values"]
                           if one["name"] == "snp_launch_measurement"]
                self.assertEqual((asked["finding"], asked["value"]), ("found", [wanted]))

    def test_another_agent_policy(self):
        self.check_another_agent_policy()

    def test_reference_values_expired_and_absent(self):
        self.addCleanup(self.kbs.set_reference_values, self.values)
        self.kbs.change_reference_values("expire", "snp_launch_measurement")
        self.kbs.change_reference_values("delete", "snp_snp_svn")
        said, record = self.refusal("values", self.annotation())
        self.assertIn("cpu0 is contraindicated (executables, hardware)", said)
        missing = record["parts"][0]["missing_reference_values"]
        self.assertEqual(missing[:2], ["snp_launch_measurement (expired)", "snp_snp_svn"])
        self.assertIn("snp_launch_measurement (expired)", record["reason"])

    def test_a_broker_with_another_certificate_is_not_believed(self):
        before = self.kbs.attestations()
        with PrivateKbs(BUILD, names=[self.address]) as other:
            said = self.refused("wrongcert", annotations=self.annotation(other.certificate))
        self.assertIn(f"attest to '{self.url}'", said)
        self.assertIn("certificate", said)
        self.assertEqual(self.kbs.attestations(), before)


@unittest.skipUnless(IS_VM, "needs a VM")
class TdxRefusalsTest(RefusalsTest):
    """TDX: the registers tell the kernel from what it was given."""
    tee = "tdx"

    def test_one_changed_byte_of_the_initrd(self):
        record = self.refused_launch("initrd", self.folder / "initrd-B")
        found = record["claims"]["quote"]["body"]
        self.assertEqual([found["mr_td"], found["rtmr_1"]],
                         self.values["mr_td"] + self.values["rtmr_1"])
        self.assertNotIn(found["rtmr_2"], self.values["rtmr_2"])

    def test_another_agent_policy(self):
        self.check_another_agent_policy()


@unittest.skipUnless(IS_VM, "needs a VM")
class TpmRefusalsTest(RefusalsTest):
    """TPM: PCR 4 has the kernel, PCR 9 command line and initrd, PCR 8 the initdata."""
    tee = "tpm"

    def test_one_changed_byte_of_the_command_line(self):
        record = self.refused_launch("kernel_params", "coffer.test=B")
        self.assertIn(record["claims"]["pcr04"], self.values["tpm_pcr04"])
        self.assertNotIn(record["claims"]["pcr09"], self.values["tpm_pcr09"])

    def test_another_agent_policy(self):
        # Nothing in the guest can tell: what it was given is what it measures.
        self.check_another_agent_policy()


if __name__ == "__main__":
    main()
