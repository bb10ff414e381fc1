"""The tenant's policy in a guest: one image's command runs, everything else is refused with the
reason in the caller's error text."""
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from e2e import BUILD, IS_VM, PATIENCE, E2eTest, eventually, main

HERE = pathlib.Path(__file__).resolve().parent
COMMAND = ("sh", "-c", "echo allowed; sleep 100000")


def image_with(policy, target):
    """Writes an initramfs like the build's, with `policy` where the agent reads it: the kernel
    unpacks archives that follow one another."""
    tree = target.parent / "tree"
    (tree / "etc/kata-opa").mkdir(parents=True)
    shutil.copyfile(policy, tree / "etc/kata-opa/default-policy.rego")
    names = "etc\netc/kata-opa\netc/kata-opa/default-policy.rego\n"
    extra = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=tree, check=True,
                           input=names.encode(), stdout=subprocess.PIPE).stdout
    image = (BUILD / "share/kata-containers/kata-containers-initrd.img").read_bytes()
    # In front: LZ4's legacy frame has no end that the kernel would go on behind.
    target.write_bytes(extra + image)


@unittest.skipUnless(IS_VM, "needs a VM")
class PolicyTest(E2eTest):
    """A guest whose image holds one-command.rego."""

    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="coffer-policy-"))
        cls.addClassCleanup(shutil.rmtree, folder)
        image_with(HERE / "one-command.rego", folder / "initrd.img")
        cls.changes = {"initrd": f'"{folder}/initrd.img"'}
        super().setUpClass()

    def refused(self, *args, options=()):
        """What `ctr run` says when the guest refuses."""
        self.addCleanup(self.remove, "refused")
        done = self.containerd.run("refused", *args, options=options, check=False,
                                   timeout=PATIENCE)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        return done.stderr

    def expect_refusal(self, text, *parts):
        self.assertIn("CreateContainerRequest is blocked by policy", text)
        for part in parts:
            self.assertIn(part, text)

    def test_the_allowed_command_runs_and_exec_is_refused(self):
        self.start_detached("good", *COMMAND)
        done = self.exec("good", "sh", "-c", "id", timeout=PATIENCE)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("ExecProcessRequest is blocked by policy", done.stderr)
        self.assertIn("this pod's tenant allows no exec", done.stderr)
        # The container is none the worse for it.
        states = self.ctr("tasks", "list").stdout
        self.assertRegex(states, r"good\s+\d+\s+RUNNING")
        self.ctr("tasks", "kill", "-s", "SIGKILL", "good")
        eventually(lambda: "STOPPED" in self.ctr("tasks", "list").stdout, "the container stops")

    def test_a_changed_argument_is_refused(self):
        self.expect_refusal(self.refused("sh", "-c", "echo other"), "default-policy.rego:", "echo other")

    def test_an_extra_mount_is_refused(self):
        said = self.refused(*COMMAND, options=("--mount",
                                               "type=bind,src=/etc,dst=/stolen,options=rbind:ro"))
        self.expect_refusal(said, "/stolen")

    def test_an_added_capability_is_refused(self):
        self.expect_refusal(self.refused(*COMMAND, options=("--cap-add", "CAP_SYS_ADMIN")),
                            "CAP_SYS_ADMIN")

    def test_a_changed_environment_is_refused(self):
        self.expect_refusal(self.refused(*COMMAND, options=("--env", "LD_PRELOAD=/evil.so")),
                            "LD_PRELOAD")


if __name__ == "__main__":
    main()
