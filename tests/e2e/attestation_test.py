"""The development class: a guest with an emulated TEE takes its tenant's initdata, attests to a key
broker before it makes a container, and reads a secret; and each way of cheating ends in an error
that names the cause."""
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from e2e import BUILD, IS_VM, SOURCE, E2eTest, main
from lab.containerd import Failure

ANNOTATION = "io.katacontainers.config.hypervisor.cc_init_data"
POLICY = (SOURCE / "configs/policies/allow-all.rego").read_text()


def coffer(*args):
    """What the built `coffer` prints."""
    return subprocess.run([BUILD / "bin/coffer", *args], check=True, capture_output=True,
                          text=True).stdout


def initdata(folder, name="initdata.toml", aa="", policy=POLICY):
    """Writes an initdata file and returns its annotation."""
    path = pathlib.Path(folder) / name
    path.write_text('version = "0.1.0"\nalgorithm = "sha384"\n[data]\n'
                    f"\"policy.rego\" = '''\n{policy}'''\n\"aa.toml\" = '''\n{aa}'''\n")
    return coffer("initdata", "pack", str(path)).strip()


@unittest.skipUnless(IS_VM, "needs a VM")
class InitdataTest(E2eTest):
    """Pods of the development class as SNP guests, their root filesystems shared by the host, for
    these tests are not about pulling."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="coffer-attestation-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.config_name = "configuration-qemu-coco-dev.toml"
        cls.changes = {"shared_fs": '"virtio-9p"', "experimental_force_guest_pull": "false",
                       "emptydir_mode": '"shared-fs"', "default_memory": "512",
                       "tee_emulation_vendor": f'"{cls.folder}/vendor"'}
        super().setUpClass()

    def refused(self, name, **config):
        """The error of a pod that must not start."""
        try:
            self.run_pod(name, **config)
        except Failure as failure:
            return str(failure)
        raise AssertionError(f"pod {name} started")

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


if __name__ == "__main__":
    main()
