"""The development class: a guest with an emulated TEE takes its tenant's initdata, attests to a key
broker before it makes a container, and reads a secret."""
import json
import os
import pathlib
import shutil
import signal
import unittest

from attestation import ANNOTATION, POLICY, DevClassTest, KbsClassTest, coffer, initdata
from container_rules import RULES, check_container_rules
from e2e import BUILD, IS_VM, eventually, main
from lab.containerd import Failure
from lab.sealed import Signer
from sealed_secrets import check_sealed_secrets


@unittest.skipUnless(IS_VM, "needs a VM")
class InitdataTest(DevClassTest):
    """What needs no key broker."""

    def test_the_tenants_policy_and_word_take_effect(self):
        pod, sandbox = self.run_pod("good", annotations={
            ANNOTATION: initdata(self.folder, aa="[attestation]\nrequired = false\n")})
        container = self.add_container(pod, sandbox, "main", ["sh", "-c", "echo in the guest"])
        self.assertEqual(self.wait_exited(container).get("exit_code", 0), 0)
        self.assertIn("in the guest", self.log_of(sandbox, "main"))

    def test_without_a_broker_no_container_is_made(self):
        said = self.refused("nobroker", annotations={ANNOTATION: initdata(self.folder)})
        self.assertIn("attestation is required, and no key broker is named", said)

    def test_a_broker_that_cannot_be_reached_is_named(self):
        said = self.refused("nokbs", annotations={ANNOTATION: initdata(
            self.folder, aa='[token_configs.kbs]\nurl = "http://127.0.0.1:9"\n')})
        self.assertIn("attest to 'http://127.0.0.1:9'", said)

    def test_without_initdata_the_images_policy_refuses(self):
        self.assertIn("blocked by policy", self.refused("noinitdata"))

    def test_initdata_that_is_none_is_refused_before_a_vm_starts(self):
        said = self.refused("broken", annotations={ANNOTATION: "QUJD"})
        self.assertIn("prepare the pod's launch", said)

    def restart_with(self, path):
        """containerd, finding its programs there."""
        self.containerd.stop()
        self.containerd.path = path
        self.containerd.start()

    def test_initdata_that_the_host_swapped_ends_the_guest(self):
        # A shim's helper that binds what it was given, and writes another's disk.
        liar = self.folder / "liar"
        liar.mkdir()
        other = self.folder / "other.annotation"
        other.write_text(initdata(self.folder, "other.toml", policy=POLICY + "# other\n"))
        shutil.copy(BUILD / "bin/containerd-shim-kata-v2", liar)
        (liar / "coffer-launch").write_text(f"""#!/usr/bin/python3
import json, subprocess, sys
request = json.load(sys.stdin)
def ask(request):
    return subprocess.run(["{BUILD}/bin/coffer-launch"], input=json.dumps(request), text=True,
                          check=True, stdout=subprocess.PIPE).stdout
answer = ask(request)
ask({{"tee": "none", "initdata": open("{other}").read(), "disk": request["disk"]}})
print(answer)
""")
        (liar / "coffer-launch").chmod(0o755)
        self.addCleanup(self.restart_with, self.containerd.path)
        self.restart_with(f"{liar}:{self.containerd.path}")
        said = self.refused("swapped", annotations={ANNOTATION: initdata(self.folder)})
        self.assertIn("HOST_DATA is not its digest", said)
        wanted = coffer("initdata", "digest", "--tee", "snp", str(self.folder / "initdata.toml"))
        self.assertIn(f"found {wanted.strip()}", said)


@unittest.skipUnless(IS_VM, "needs a VM")
class KbsTest(KbsClassTest):
    """What registered reference values open, and a resource policy closes."""

    def test_a_container_reads_the_secret_that_its_measurement_opens(self):
        pod, sandbox = self.run_pod("secret", annotations=self.annotation(policy=POLICY + RULES))
        self.assertIn("the secret", self.read_secret(pod, sandbox, "good"))
        record = self.kbs.attestation(self.kbs.attestations()[0]["id"])
        self.assertEqual((record["tee"], record["status"], record["emulated"]),
                         (self.tee, "affirming", True))
        self.assertTrue(all(check["ok"] for check in record["checks"]), record["checks"])
        self.assertEqual(record["resources"][0]["allowed"], True)
        check_sealed_secrets(self, pod, sandbox)
        check_container_rules(self, pod, sandbox)
        self.kbs.set_resource_policy(
            "package policy\nimport rego.v1\ndefault allow := false\n"
            'allow if data["resource-path"][2] == "2"\n')
        said = self.read_secret(pod, sandbox, "denied")
        self.assertNotIn("the secret", said)
        self.assertIn("403", said)
        with self.assertRaises(Failure) as refused:
            self.add_container(pod, sandbox, "sealed-denied", ["true"], envs=[
                {"key": "TOKEN", "value": Signer(self.folder).seal("kbs:///default/key/1")}])
        self.assertIn("Access denied by policy", str(refused.exception))
        denied = [one for one in self.kbs.attestation(record["id"])["resources"]
                  if not one["allowed"]][0]
        self.assertEqual((denied["path"], denied["allowed"]), ("default/key/1", False))
        self.assertIn('data["resource-path"][2] == "2"', denied["reason"])


@unittest.skipUnless(IS_VM, "needs a VM")
class TdxKbsTest(KbsTest):
    """The same with TDX guests."""
    tee = "tdx"


@unittest.skipUnless(IS_VM, "needs a VM")
class TpmKbsTest(KbsTest):
    """The same with a software TPM for each pod, into which firmware measures the boot."""
    tee = "tpm"

    def test_a_kill_of_the_shim_leaves_neither_tpm_nor_folder(self):
        pod, _ = self.run_pod("killed", annotations=self.annotation())
        state = json.loads(pathlib.Path(f"/run/kata/{pod}/state.json").read_text())
        helpers = [helper["pid"] for helper in state["helpers"]]
        self.assertEqual(pathlib.Path(f"/proc/{helpers[0]}/comm").read_text(), "swtpm\n")
        os.kill(state["shim"]["pid"], signal.SIGKILL)
        self.remove_pod(pod)
        eventually(lambda: not any(pathlib.Path(f"/proc/{pid}").exists() for pid in helpers),
                   "swtpm and QEMU are gone")
        self.assertFalse(pathlib.Path(f"/run/kata/{pod}").exists())


if __name__ == "__main__":
    main()
