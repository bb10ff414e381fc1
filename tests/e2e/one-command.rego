# What the tests enforce: one command of one image, nothing else in a container, and no exec.
package agent_policy

default AllowRequestsFailingPolicy := false

# What every pod needs of its guest.
default CreateSandboxRequest := true
default DestroySandboxRequest := true
default GetOOMEventRequest := true
default GuestDetailsRequest := true
default ReadStreamRequest := true
default WriteStreamRequest := true
default CloseStdinRequest := true
default RemoveContainerRequest := true
default SignalProcessRequest := true
default StartContainerRequest := true
default StatsContainerRequest := true
default UpdateInterfaceRequest := true
default UpdateRoutesRequest := true
default WaitProcessRequest := true

default CreateContainerRequest := false

default ExecProcessRequest := false

default SetPolicyRequest := false

allowed_args := ["sh", "-c", "echo allowed; sleep 100000"]

allowed_env := {"PATH", "HOSTNAME", "TERM"}

allowed_destinations := {
	"/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/run",
	"/sys/fs/cgroup", "/etc/hosts", "/etc/resolv.conf", "/etc/hostname",
}

allowed_capabilities := {
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW",
	"CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE",
	"CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
}

CreateContainerRequest if {
	input.OCI.Process.Args == allowed_args
	every variable in input.OCI.Process.Env {
		split(variable, "=")[0] in allowed_env
	}
	every mount in input.OCI.Mounts {
		mount.destination in allowed_destinations
	}
	every capability in input.OCI.Process.Capabilities.Bounding {
		capability in allowed_capabilities
	}
}

ExecProcessRequest if {
	print("this pod's tenant allows no exec")
	input.process.Args == ["never"]
}
