"""A pod by the CRI: two containers in one sandbox, with Debian's CNI plugins."""
import base64
import socket
import subprocess
import threading

from e2e import IS_VM, E2eTest, eventually, main


def listen_once(address, answer):
    """A server on the host that takes one connection, and (port, what it was told) of it."""
    server = socket.create_server((address, 0))
    heard = []

    def serve():
        connection, _ = server.accept()
        with connection:
            heard.append(connection.recv(100).decode())
            connection.sendall(answer.encode())
        server.close()
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return server.getsockname()[1], heard, thread


class PodTest(E2eTest):
    def exec_sync(self, container, *command, check=True):
        answer = self.cri("ExecSync", {"container_id": container, "cmd": list(command),
                                       "timeout": "60"})
        if check:
            self.assertEqual(answer["exit_code"], 0, answer)
        return answer

    def output(self, container, *command):
        return base64.b64decode(self.exec_sync(container, *command)["stdout"]).decode()

    def address_of(self, pod):
        return self.cri("PodSandboxStatus", {"pod_sandbox_id": pod})["status"]["network"]["ip"]

    def test_two_containers_share_a_network_and_have_their_own_ends(self):
        pod, sandbox = self.run_pod("pair")
        server = self.add_container(pod, sandbox, "server", [
            "sh", "-c", "echo served > /tmp/page; nc -ll -p 8080 -e cat /tmp/page"])
        client = self.add_container(pod, sandbox, "client", ["sleep", "100000"])

        # One network: localhost reaches the other container, and both have the pod's address.
        eventually(lambda: self.exec_sync(client, "nc", "-w", "2", "127.0.0.1", "8080",
                                          check=False)["exit_code"] == 0, "the server listens")
        self.assertEqual(self.output(client, "nc", "-w", "2", "127.0.0.1", "8080"), "served\n")
        address = self.address_of(pod)
        for container in (server, client):
            self.assertIn(f"inet {address}/24", self.output(container, "ip", "addr"))
        # One kernel, two file systems.
        boots = {self.output(container, "cat", "/proc/sys/kernel/random/boot_id")
                 for container in (server, client)}
        self.assertEqual(len(boots), 1)
        if IS_VM:
            with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as host:
                self.assertNotIn(host.read(), boots)
        self.assertNotEqual(self.exec_sync(client, "cat", "/tmp/page", check=False)["exit_code"], 0)

        # The host reaches the pod, and the pod the host.
        with socket.create_connection((address, 8080), timeout=10) as connection:
            self.assertEqual(connection.recv(100), b"served\n")
        bridge = f"{self.containerd.subnet}.1"
        port, heard, thread = listen_once(bridge, "welcome\n")
        self.assertEqual(self.output(client, "sh", "-c",
                                     f"echo knock | nc -w 5 {bridge} {port}"), "welcome\n")
        thread.join(10)
        self.assertEqual(heard, ["knock\n"])

        # Each ends by itself.
        ends = self.add_container(pod, sandbox, "ends", ["sh", "-c", "echo bye; exit 9"])
        self.assertEqual(self.wait_exited(ends)["exit_code"], 9)
        self.assertEqual(self.log_of(sandbox, "ends"), "bye\n")
        self.cri("StopContainer", {"container_id": server, "timeout": "0"})
        self.assertEqual(self.wait_exited(server)["exit_code"], 137)
        self.assertEqual(self.container_status(client)["state"], "CONTAINER_RUNNING")
        self.cri("RemoveContainer", {"container_id": server})
        stats = self.cri("ContainerStats", {"container_id": client})["stats"]
        self.assertGreater(int(stats["memory"]["working_set_bytes"]["value"]), 0)

    def test_a_container_over_its_memory_is_said_to_be_oom_killed(self):
        pod, sandbox = self.run_pod("oom")
        greedy = self.add_container(
            pod, sandbox, "greedy", ["sh", "-c", "dd if=/dev/zero of=/dev/null bs=200M count=1"],
            resources={"memory_limit_in_bytes": str(32 << 20)})
        status = self.wait_exited(greedy)
        self.assertEqual((status["exit_code"], status["reason"]), (137, "OOMKilled"), status)

    def test_hostname_and_name_servers_are_the_pods(self):
        pod, sandbox = self.run_pod("named", dns_config={"servers": ["192.0.2.53"]})
        container = self.add_container(pod, sandbox, "c", ["sleep", "100000"])
        self.assertEqual(self.output(container, "hostname"), "named\n")
        self.assertIn("192.0.2.53", self.output(container, "cat", "/etc/resolv.conf"))

    def test_containers_see_each_others_processes_when_the_pod_shares_them(self):
        pod, sandbox = self.run_pod("shared", linux={"security_context": {
            "namespace_options": {"pid": "POD"}}})
        self.add_container(pod, sandbox, "one", ["sleep", "100001"], pid="POD")
        two = self.add_container(pod, sandbox, "two", ["sleep", "100002"], pid="POD")
        processes = self.output(two, "ps")
        self.assertIn("sleep 100001", processes)
        self.assertIn("/pause", processes)

    def test_a_pod_that_is_removed_takes_its_network_along(self):
        pod, _ = self.run_pod("gone")
        address = self.address_of(pod)
        self.remove_pod(pod)
        self.assertFalse((self.containerd.dir / "ipam" / self.containerd.bridge /
                          address).exists())
        links = subprocess.run(["ip", "-o", "link", "show", "master", self.containerd.bridge],
                               capture_output=True, text=True, check=True).stdout
        self.assertEqual(links, "")


if __name__ == "__main__":
    main()
