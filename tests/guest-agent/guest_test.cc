// The agent as PID 1 of a real guest: QEMU boots a guest image ('coffer guest-image build') with a
// 9p share. What needs cgroup v2 controllers is tested here. COFFER_GUEST_IMAGE names the folder of
// the image; without it everything is skipped.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

#include "base/subprocess.h"
#include "rpc/protos/health.pb.h"
#include "tests/guest-agent/agent_client.h"

namespace coffer::agent {
namespace {

namespace fs = std::filesystem;

constexpr const char* kShare = "/run/kata-containers/shared/containers";

// One guest for all tests: it takes seconds to boot.
class Machine {
 public:
  explicit Machine(const fs::path& image) {
    std::string name = fs::temp_directory_path() / "guest-XXXXXX";
    dir_ = ::mkdtemp(name.data());
    make_share();
    SpawnOptions options;
    options.argv = {
        "/usr/bin/qemu-system-x86_64",
        "-machine",
        "q35,accel=tcg",
        "-cpu",
        "max",
        "-m",
        "512",
        "-nodefaults",
        "-no-user-config",
        "-nographic",
        "-no-reboot",
        "-kernel",
        image / "vmlinuz.container",
        "-initrd",
        image / "kata-containers-initrd.img",
        "-append",
        "console=ttyS0 panic=-1 quiet agent.log=debug",
        "-serial",
        "file:" + (dir_ / "console.log").string(),
        "-device",
        "virtio-serial-pci",
        "-chardev",
        "socket,id=agent,server=on,wait=off,path=" + socket(),
        "-device",
        "virtserialport,chardev=agent,name=org.coffer.agent.0",
        "-fsdev",
        "local,id=share,security_model=none,multidevs=remap,path=" + (dir_ / "share").string(),
        "-device",
        "virtio-9p-pci,fsdev=share,mount_tag=kataShared",
        "-netdev",
        "user,id=net,restrict=on",
        "-device",
        "virtio-net-pci,netdev=net,mac=02:00:00:00:00:11"};
    auto child = spawn(options);
    check(child.has_value(), "start QEMU");
    qemu_.emplace(*std::move(child));
    Fd connected;
    for (int i = 0; i < 2000 && !connected.valid(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      connected = connect_unix(socket());
    }
    check(connected.valid(), "connect to the guest");
    client.emplace(std::move(connected));
    grpc::CreateSandboxRequest request;
    request.set_hostname("pod");
    request.set_sandbox_id("pause");
    auto& share = *request.add_storages();
    share.set_driver("9p");
    share.set_source("kataShared");
    share.set_fstype("9p");
    share.set_mount_point(kShare);
    for (const char* option : {"trans=virtio", "version=9p2000.L", "cache=mmap", "nodev"})
      share.add_options(option);
    auto& shm = *request.add_storages();
    shm.set_driver("ephemeral");
    shm.set_source("shm");
    shm.set_fstype("tmpfs");
    shm.set_mount_point("/run/kata-containers/sandbox/shm");
    sandbox = client->call<Empty>("CreateSandbox", request);
  }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  ~Machine() {
    std::error_code error;
    fs::remove_all(dir_, error);
  }

  [[nodiscard]] std::string console() const { return read_file(dir_ / "console.log").value_or(""); }
  Result<ExitStatus> wait_for_power_off() { return client->run(qemu_->wait()); }

  std::optional<AgentClient> client;
  Result<Empty> sandbox;

 private:
  [[nodiscard]] std::string socket() const { return dir_ / "agent.sock"; }
  void make_share() const {
    const auto root = dir_ / "share/c/rootfs";
    fs::create_directories(root / "bin");
    fs::copy("/bin/busybox", root / "bin/busybox");
    for (const char* tool : {"sh", "cat", "sleep", "echo", "hostname", "head", "tail", "ls", "id"})
      fs::create_symlink("busybox", root / "bin" / tool);
    for (const char* name : {"proc", "dev", "sys", "tmp"}) fs::create_directories(root / name);
  }

  fs::path dir_;
  std::optional<Child> qemu_;
};

class Guest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const char* image = std::getenv("COFFER_GUEST_IMAGE");
    // The build names where it puts the image; without a kernel package it makes none.
    const bool there =
        image != nullptr && fs::exists(fs::path(image) / "kata-containers-initrd.img");
    if (there) machine_ = std::make_unique<Machine>(image);
  }
  static void TearDownTestSuite() { machine_.reset(); }
  void SetUp() override {
    if (!machine_) GTEST_SKIP() << "no guest image in COFFER_GUEST_IMAGE";
    ASSERT_TRUE(machine_->sandbox) << machine_->sandbox.error().to_string() << machine_->console();
  }
  void TearDown() override {
    if (HasFailure()) std::fputs(machine_->console().c_str(), stderr);
  }

  AgentClient& agent() { return *machine_->client; }
  static grpc::CreateContainerRequest spec(const std::string& id,
                                           const std::vector<std::string>& args) {
    return container_request(id, std::string(kShare) + "/c/rootfs", args);
  }
  template <typename T>
  static ::testing::AssertionResult ok(const Result<T>& result) {
    if (result) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << result.error().to_string();
  }
  void run(const grpc::CreateContainerRequest& request) {
    ASSERT_TRUE(ok(agent().call<Empty>("CreateContainer", request)));
    ASSERT_TRUE(ok(agent().start_container(request.container_id())));
  }
  std::string output(const std::string& id, const std::string& exec_id = "") {
    auto text = agent().run(agent().drain("ReadStdout", id, exec_id));
    EXPECT_TRUE(ok(text));
    return text.value_or("");
  }
  Result<grpc::StatsContainerResponse> stats(const std::string& id) {
    grpc::StatsContainerRequest request;
    request.set_container_id(id);
    return agent().call<grpc::StatsContainerResponse>("StatsContainer", request);
  }

  static std::unique_ptr<Machine> machine_;
};

std::unique_ptr<Machine> Guest::machine_;

TEST_F(Guest, RunsAContainerFromTheShare) {
  run(spec("hello", {"sh", "-c", "echo out; hostname; id -u; exit 5"}));
  EXPECT_EQ(output("hello"), "out\npod\n0\n");
  EXPECT_EQ(agent().wait("hello").value_or(-1), 5);
  EXPECT_TRUE(ok(agent().remove("hello")));
}

TEST_F(Guest, LeavesTheOldRootBehindWithPivotRoot) {
  run(spec("root", {"sh", "-c", "cat /proc/self/mountinfo"}));
  const auto mounts = output("root");
  EXPECT_NE(mounts.find(" /c/rootfs / "), std::string::npos) << mounts;
  EXPECT_EQ(mounts.find("/sys/fs/cgroup"), std::string::npos) << mounts;
  EXPECT_EQ(mounts.find("/run/kata-containers"), std::string::npos) << mounts;
  EXPECT_EQ(agent().wait("root").value_or(-1), 0);
  EXPECT_TRUE(ok(agent().remove("root")));
}

TEST_F(Guest, OpensNoDeviceThatNoRuleAllows) {
  // The guest's console, which whoever may make a node could open. A failed redirection of ':' ends
  // the shell: hence the parentheses.
  auto request =
      spec("devices", {"sh", "-c",
                       "busybox mknod /tmp/console c 4 64 && busybox mknod /tmp/null c 1 3; "
                       "(: </tmp/console) && echo opened; (: </tmp/null) && echo null"});
  auto& capabilities = *request.mutable_oci()->mutable_process()->mutable_capabilities();
  for (auto* list : {capabilities.mutable_bounding(), capabilities.mutable_effective(),
                     capabilities.mutable_permitted()})
    *list->Add() = "CAP_MKNOD";
  // The share would keep the nodes as files of another kind.
  auto& mount = *request.mutable_oci()->add_mounts();
  mount.set_destination("/tmp");
  mount.set_source("tmpfs");
  mount.set_type("tmpfs");
  run(request);
  EXPECT_EQ(output("devices"), "null\n");
  EXPECT_EQ(agent().wait("devices").value_or(-1), 0);
  EXPECT_TRUE(ok(agent().remove("devices")));
}

TEST_F(Guest, LimitsProcessesAndMemory) {
  auto request = spec("limits", {"sleep", "1000"});
  auto& resources = *request.mutable_oci()->mutable_linux()->mutable_resources();
  request.mutable_oci()->mutable_linux()->set_cgroupspath("/kubepods/pod1/limits");
  resources.mutable_memory()->set_limit(std::int64_t{64} << 20U);
  resources.mutable_pids()->set_limit(20);
  resources.mutable_cpu()->set_shares(512);
  run(request);
  auto seen = stats("limits");
  ASSERT_TRUE(ok(seen));
  EXPECT_EQ(seen->cgroup_stats().memory_stats().usage().limit(), std::uint64_t{64} << 20U);
  EXPECT_GT(seen->cgroup_stats().memory_stats().usage().usage(), 0U);
  EXPECT_EQ(seen->cgroup_stats().pids_stats().limit(), 20U);
  EXPECT_EQ(seen->cgroup_stats().pids_stats().current(), 1U);
  EXPECT_GT(seen->cgroup_stats().cpu_stats().cpu_usage().total_usage(), 0U);
  EXPECT_GT(seen->network_stats_size(), 0);
  grpc::UpdateContainerRequest update;
  update.set_container_id("limits");
  update.mutable_resources()->mutable_memory()->set_limit(std::int64_t{32} << 20U);
  ASSERT_TRUE(ok(agent().call<Empty>("UpdateContainer", update)));
  seen = stats("limits");
  ASSERT_TRUE(ok(seen));
  EXPECT_EQ(seen->cgroup_stats().memory_stats().usage().limit(), std::uint64_t{32} << 20U);
  EXPECT_TRUE(ok(agent().kill("limits", SIGKILL)));
  EXPECT_EQ(agent().wait("limits").value_or(-1), 128 + SIGKILL);
  EXPECT_TRUE(ok(agent().remove("limits")));
  EXPECT_EQ(stats("limits").error().code(), Code::kInvalidArgument);
}

TEST_F(Guest, TellsWhichContainerWasOutOfMemory) {
  auto request = spec("greedy", {"sh", "-c", "tail /dev/zero"});
  request.mutable_oci()->mutable_linux()->mutable_resources()->mutable_memory()->set_limit(
      std::int64_t{16} << 20U);
  run(request);
  const auto event = agent().call<grpc::OOMEvent>("GetOOMEvent", grpc::GetOOMEventRequest());
  ASSERT_TRUE(ok(event));
  EXPECT_EQ(event->container_id(), "greedy");
  EXPECT_NE(agent().wait("greedy").value_or(0), 0);
  EXPECT_TRUE(ok(agent().remove("greedy")));
}

TEST_F(Guest, FreezesAndThaws) {
  run(spec("ticker", {"sh", "-c", "while true; do echo tick; sleep 0.05; done"}));
  grpc::PauseContainerRequest pause;
  pause.set_container_id("ticker");
  ASSERT_TRUE(ok(agent().call<Empty>("PauseContainer", pause)));
  EXPECT_EQ(agent().call<Empty>("PauseContainer", pause).error().code(), Code::kInternal);
  grpc::ResumeContainerRequest resume;
  resume.set_container_id("ticker");
  ASSERT_TRUE(ok(agent().call<Empty>("ResumeContainer", resume)));
  // A paused container can be removed as well.
  ASSERT_TRUE(ok(agent().call<Empty>("PauseContainer", pause)));
  EXPECT_TRUE(ok(agent().remove("ticker")));
}

TEST_F(Guest, SharesAPidNamespaceWhenAsked) {
  auto pause = spec("pause", {"sleep", "1000"});
  pause.set_sandbox_pidns(false);
  run(pause);
  auto second = spec("alone", {"sh", "-c", "ls -d /proc/[0-9]* | head -n 1"});
  run(second);
  EXPECT_EQ(output("alone"), "/proc/1\n");
  EXPECT_EQ(agent().wait("alone").value_or(-1), 0);
  EXPECT_TRUE(ok(agent().remove("alone")));
  auto shared = spec("shared-pid", {"true"});
  shared.set_sandbox_pidns(true);
  EXPECT_FALSE(agent().call<Empty>("CreateContainer", shared)) << "the first did not share its own";
  EXPECT_TRUE(ok(agent().remove("pause")));
}

TEST_F(Guest, SetsUpItsNetwork) {
  grpc::UpdateInterfaceRequest request;
  auto& interface = *request.mutable_interface();
  interface.set_name("net7");
  interface.set_hwaddr("02:00:00:00:00:11");
  interface.set_mtu(1400);
  auto& address = *interface.add_ipaddresses();
  address.set_address("10.9.8.7");
  address.set_mask("24");
  ASSERT_TRUE(ok(agent().call<types::Interface>("UpdateInterface", request)));
  grpc::UpdateRoutesRequest routes;
  auto& route = *routes.mutable_routes()->add_routes();
  route.set_gateway("10.9.8.1");
  route.set_device("net7");
  const auto listed = agent().call<grpc::Routes>("UpdateRoutes", routes);
  ASSERT_TRUE(ok(listed));
  bool found = false;
  for (const auto& one : listed->routes()) found = found || one.gateway() == "10.9.8.1";
  EXPECT_TRUE(found) << listed->ShortDebugString();
  const auto links =
      agent().call<grpc::Interfaces>("ListInterfaces", grpc::ListInterfacesRequest());
  ASSERT_TRUE(ok(links));
  found = false;
  for (const auto& link : links->interfaces())
    found = found || (link.name() == "net7" && link.mtu() == 1400 && link.ipaddresses_size() > 0);
  EXPECT_TRUE(found) << links->ShortDebugString();
}

// The value of a metric, by its whole name with labels.
std::uint64_t metric(const std::string& text, const std::string& name) {
  const auto at = text.find("\n" + name + " ");
  return at == std::string::npos ? 0 : std::stoull(text.substr(at + name.size() + 2));
}

// bench/guest_footprint runs this one alone and shows what it prints.
TEST_F(Guest, IsSmall) {
  const auto metrics = agent().call<grpc::Metrics>("GetMetrics", grpc::GetMetricsRequest());
  ASSERT_TRUE(ok(metrics));
  const std::uint64_t resident = metric(metrics->metrics(), "kata_agent_total_rss");
  const std::uint64_t total = metric(metrics->metrics(), "kata_guest_meminfo{item=\"MemTotal\"}");
  const std::uint64_t available =
      metric(metrics->metrics(), "kata_guest_meminfo{item=\"MemAvailable\"}");
  std::printf("agent resident: %llu KiB\nguest memory used: %llu KiB of %llu KiB\n",
              static_cast<unsigned long long>(resident >> 10U),
              static_cast<unsigned long long>(total - available),
              static_cast<unsigned long long>(total));
  ASSERT_GT(resident, 0U);
  ASSERT_GT(available, 0U);
  EXPECT_LE(resident, 12U << 20U);
}

// Last by its name's place in the file: the guest is gone afterwards.
TEST_F(Guest, PowersOffWhenTheSandboxIsDestroyed) {
  EXPECT_TRUE(ok(agent().call<Empty>("DestroySandbox", grpc::DestroySandboxRequest())));
  const auto status = machine_->wait_for_power_off();
  ASSERT_TRUE(ok(status));
  EXPECT_EQ(status->as_shell(), 0);
}

}  // namespace
}  // namespace coffer::agent
