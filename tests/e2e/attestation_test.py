"""The development class: a guest with an emulated TEE takes its tenant's initdata, attests to a key
broker before it makes a container, and reads a secret; and each way of cheating ends in an error
that names the cause."""
import json
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from container_rules import RULES, check_container_rules
from e2e import BUILD, IS_VM, SOURCE, E2eTest, main
from lab.containerd import Failure
from lab.kbs import PrivateKbs
from sealed_secrets import check_sealed_secrets

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


class DevClassTest(E2eTest):
    """Pods of the development class, SNP guests unless said otherwise, their root filesystems shared by the host, for
    these tests are not about pulling."""

    tee = "snp"

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="coffer-attestation-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.config_name = "configuration-qemu-coco-dev.toml"
        cls.changes = {"tee": f'"{cls.tee}"', "shared_fs": '"virtio-9p"', "experimental_force_guest_pull": "false",
                       "emptydir_mode": '"shared-fs"', "default_memory": "512",
                       "tee_emulation_vendor": f'"{cls.folder}/vendor"'}
        super().setUpClass()

    @classmethod
    def make_vendor(cls):
        """The throwaway vendor, before a first pod would make it."""
        folder = cls.folder / "vendor" / cls.tee
        folder.mkdir(parents=True)
        subprocess.run([BUILD / "bin/coffer-tee-emulator", "make", cls.tee, "30", folder], check=True)
        return folder

    def refused(self, name, **config):
        """The error of a pod that must not start."""
        try:
            self.run_pod(name, **config)
        except Failure as failure:
            return str(failure)
        raise AssertionError(f"pod {name} started")


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
class KbsTest(DevClassTest):
    """Pods that attest to a key broker on this host."""
    launched_as = "measurement"  # in the launch of an emulated guest
    claim = "snp.measurement"  # in a token

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.address = f"{cls.containerd.subnet}.1"
        cls.kbs = PrivateKbs(BUILD, names=[cls.address], **cls.trust(cls.make_vendor()))
        cls.addClassCleanup(cls.kbs.close)
        cls.kbs.start()
        cls.kbs.set_resource("default/key/1", b"the secret")

    @classmethod
    def trust(cls, vendor):
        return {"snp_roots": [vendor / "root.pem"]}

    def annotation(self, certificate=None, policy=POLICY):
        return {ANNOTATION: initdata(
            self.folder, policy=policy, aa=f"[token_configs.kbs]\nurl = \"https://{self.address}:{self.kbs.port}\"\n"
                            f"cert = \"\"\"\n{certificate or self.kbs.certificate}\"\"\"\n")}

    def read_secret(self, pod, sandbox, name):
        """What a container gets from the REST API, status line and all."""
        command = "wget -S -O - http://127.0.0.1:8006/cdh/resource/default/key/1 2>&1; true"
        container = self.add_container(pod, sandbox, name, ["sh", "-c", command])
        self.wait_exited(container)
        return self.log_of(sandbox, name)

    def test_a_container_reads_the_secret_that_its_measurement_opens(self):
        pod, sandbox = self.run_pod("secret", annotations=self.annotation(policy=POLICY + RULES))
        guest = json.loads(pathlib.Path(f"/run/kata/{pod}/tee.json").read_text())
        measurement = guest["launch"][self.launched_as]
        policy = ("package policy\nimport rego.v1\ndefault allow := false\nallow if {\n"
                  'input.submods.cpu0["ear.veraison.annotated-evidence"].' + self.claim + ' == "%s"\n}\n')
        self.kbs.set_resource_policy(policy % measurement)
        self.assertIn("the secret", self.read_secret(pod, sandbox, "good"))
        check_sealed_secrets(self, pod, sandbox)
        check_container_rules(self, pod, sandbox)
        self.kbs.set_resource_policy(policy % ("0" * len(measurement)))
        said = self.read_secret(pod, sandbox, "denied")
        self.assertNotIn("the secret", said)
        self.assertIn("403", said)

    def test_a_broker_with_another_certificate_is_not_believed(self):
        with PrivateKbs(BUILD, names=[self.address]) as other:
            said = self.refused("wrongcert", annotations=self.annotation(other.certificate))
        self.assertIn(f"attest to 'https://{self.address}:{self.kbs.port}'", said)
        self.assertIn("certificate", said)


@unittest.skipUnless(IS_VM, "needs a VM")
class TdxKbsTest(KbsTest):
    """The same with TDX guests."""
    tee = "tdx"
    launched_as = "mr_td"
    claim = "tdx.quote.body.mr_td"

    @classmethod
    def trust(cls, vendor):
        return {"tdx_roots": [vendor / "root.pem"], "tdx_collateral": [vendor / "collateral"]}


if __name__ == "__main__":
    main()
