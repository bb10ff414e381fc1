"""What a pod of a class will measure, before there is one."""
import json
import pathlib
import subprocess


def reference_values(build, config):
    """The values that make a pod of the class affirming: name to list. `config`: the class's file.
    Makes the throwaway vendor of an emulated TEE when there is none yet."""
    programs = pathlib.Path(build) / "bin"
    request = subprocess.run([programs / "containerd-shim-kata-v2", "-config", config, "launch"],
                             check=True, stdout=subprocess.PIPE, text=True).stdout
    answer = subprocess.run([programs / "coffer-launch"], input=request, check=True,
                            stdout=subprocess.PIPE, text=True).stdout
    return json.loads(answer)["reference_values"]
