// The real agent and the real crun, as root on this host, in namespaces of their own.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
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

constexpr const char* kBusybox = "/bin/busybox";

// crun raises this limit before it installs a device filter, which it does with its cgroups.
bool may_filter_devices() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return false;
  const rlimit all{.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
  const bool may = ::setrlimit(RLIMIT_MEMLOCK, &all) == 0;
  if (may) std::ignore = ::setrlimit(RLIMIT_MEMLOCK, &limit);
  return may;
}

class Agent : public ::testing::Test {
 protected:
  void SetUp() override {
    std::error_code error;
    if (::geteuid() != 0 || !fs::exists("/usr/bin/crun", error) || !fs::exists(kBusybox, error) ||
        !fs::exists("/usr/bin/unshare", error))
      GTEST_SKIP() << "needs root, crun, busybox-static and unshare";
    std::string name = fs::temp_directory_path() / "agent-XXXXXX";
    dir_ = ::mkdtemp(name.data());
    fs::create_directories(dir_ / "rootfs/bin");
    fs::copy(kBusybox, dir_ / "rootfs/bin/busybox");
    for (const char* tool : {"sh", "cat", "sleep", "echo", "stty", "wc", "id", "hostname", "true"})
      fs::create_symlink("busybox", dir_ / "rootfs/bin" / tool);
    for (const char* name_of : {"proc", "dev", "sys", "tmp"})
      fs::create_directories(dir_ / "rootfs" / name_of);
    start_agent();
  }

  void start_agent() {
    socket_ = dir_ / "agent.sock";
    SpawnOptions options;
    // The shell is PID 1 of the namespace, so that the agent knows that it is not.
    // cgroup v2 alone, as in the guest: crun refuses the hybrid hierarchy that a host may have.
    const std::string script =
        "mount -t tmpfs tmpfs /run; umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 "
        "/sys/fs/cgroup; " COFFER_BIN_DIR "/kata-agent " +
        std::string(may_filter_devices() ? "" : "--no-cgroups ") + "--server-addr unix://" +
        socket_ + " --log-level debug; exit $?";
    options.argv = {"/usr/bin/unshare", "-mnpf", "--mount-proc", "--kill-child",
                    "/bin/sh",          "-c",    script};
    options.env = std::vector<std::string>{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
    log_ = *open_file(dir_ / "agent.log", O_WRONLY | O_CREAT | O_APPEND, 0600);
    options.fds = {{1, log_.get()}, {2, log_.get()}};
    auto child = spawn(options);
    ASSERT_TRUE(child) << child.error().to_string();
    child_.emplace(*std::move(child));
    // There is nothing to wait on for a socket that does not exist yet.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    Fd connected;
    while (!connected.valid() && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      connected = connect_unix(socket_);
    }
    ASSERT_TRUE(connected.valid()) << read_file(dir_ / "agent.log").value_or("");
    client_.emplace(std::move(connected));
    grpc::CreateSandboxRequest request;
    request.set_hostname("pod");
    request.set_sandbox_id("pause");
    ASSERT_TRUE(ok(client_->call<Empty>("CreateSandbox", request)));
  }

  void TearDown() override {
    if (HasFailure()) std::fputs(read_file(dir_ / "agent.log").value_or("").c_str(), stderr);
    client_.reset();
    child_.reset();
    std::error_code error;
    if (!dir_.empty()) fs::remove_all(dir_, error);
  }

  template <typename T>
  ::testing::AssertionResult ok(const Result<T>& result) {
    if (result) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << result.error().to_string();
  }

  grpc::CreateContainerRequest spec(const std::string& id, const std::vector<std::string>& args) {
    return container_request(id, dir_ / "rootfs", args);
  }

  void create(const grpc::CreateContainerRequest& request) {
    ASSERT_TRUE(ok(client_->call<Empty>("CreateContainer", request)));
  }
  void start(const std::string& id) { ASSERT_TRUE(ok(client_->start_container(id))); }
  Result<Empty> exec(const std::string& id, const std::string& exec_id,
                     const std::vector<std::string>& args) {
    return client_->exec(id, exec_id, args);
  }
  int wait(const std::string& id, const std::string& exec_id = "") {
    const auto status = client_->wait(id, exec_id);
    EXPECT_TRUE(ok(status));
    return status.value_or(-1);
  }
  Result<Empty> kill(const std::string& id, unsigned signal, const std::string& exec_id = "") {
    return client_->kill(id, signal, exec_id);
  }
  Result<Empty> remove(const std::string& id) { return client_->remove(id); }
  std::string output(const std::string& id, const std::string& exec_id = "") {
    auto text = client_->run(client_->drain("ReadStdout", id, exec_id));
    EXPECT_TRUE(ok(text));
    return text.value_or("");
  }

  fs::path dir_;
  std::string socket_;
  Fd log_;
  std::optional<Child> child_;
  std::optional<AgentClient> client_;
};

TEST_F(Agent, AnswersHealthWithoutAGate) {
  grpc::CheckRequest request;
  const auto health = client_->call<grpc::HealthCheckResponse>("Check", request, "grpc.Health");
  ASSERT_TRUE(ok(health));
  EXPECT_EQ(health->status(), grpc::HealthCheckResponse_ServingStatus_SERVING);
  const auto version = client_->call<grpc::VersionCheckResponse>("Version", request, "grpc.Health");
  ASSERT_TRUE(ok(version));
  EXPECT_EQ(version->grpc_version(), "0.0.1");
}

TEST_F(Agent, RunsAContainerToItsEnd) {
  create(spec("hello", {"sh", "-c", "echo out; echo err >&2; hostname; exit 7"}));
  start("hello");
  EXPECT_EQ(output("hello"), "out\npod\n");
  const auto errors = client_->run(client_->drain("ReadStderr", "hello", ""));
  EXPECT_EQ(errors.value_or(""), "err\n");
  EXPECT_EQ(wait("hello"), 7);
  // Told once: from then on the process is gone, which is what the shim looks for.
  grpc::WaitProcessRequest again;
  again.set_container_id("hello");
  const auto gone = client_->call<grpc::WaitProcessResponse>("WaitProcess", again);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code(), Code::kNotFound);
  EXPECT_TRUE(ok(remove("hello")));
  EXPECT_EQ(kill("hello", SIGTERM).error().code(), Code::kInvalidArgument);
}

TEST_F(Agent, ReadsTheTailAfterTheExit) {
  create(spec("tail", {"sh", "-c", "echo last words"}));
  start("tail");
  EXPECT_EQ(wait("tail"), 0);
  EXPECT_EQ(output("tail"), "last words\n");
  EXPECT_TRUE(ok(remove("tail")));
}

TEST_F(Agent, ExecutesKillsAndTellsSignals) {
  create(spec("sleeper", {"sleep", "1000"}));
  start("sleeper");
  ASSERT_TRUE(ok(exec("sleeper", "e1", {"sh", "-c", "id -u; exit 3"})));
  EXPECT_EQ(output("sleeper", "e1"), "0\n");
  EXPECT_EQ(wait("sleeper", "e1"), 3);
  ASSERT_TRUE(ok(exec("sleeper", "e2", {"sleep", "1000"})));
  EXPECT_EQ(exec("sleeper", "e2", {"true"}).error().code(), Code::kAlreadyExists);
  EXPECT_TRUE(ok(kill("sleeper", SIGTERM, "e2")));
  EXPECT_EQ(wait("sleeper", "e2"), 128 + SIGTERM);
  EXPECT_EQ(kill("sleeper", SIGTERM, "nobody").error().code(), Code::kNotFound);
  // PID 1 of its namespace would not hear a SIGTERM that it does not catch.
  EXPECT_TRUE(ok(kill("sleeper", SIGTERM)));
  EXPECT_EQ(wait("sleeper"), 128 + SIGKILL);
  EXPECT_TRUE(ok(remove("sleeper")));
}

TEST_F(Agent, SaysWhichProgramIsMissing) {
  const auto created =
      client_->call<Empty>("CreateContainer", spec("nothing", {"no-such-program"}));
  ASSERT_FALSE(created);
  EXPECT_NE(created.error().message().find("no-such-program"), std::string::npos)
      << created.error().to_string();
  // Nothing is left of it: the id is free.
  create(spec("nothing", {"true"}));
  EXPECT_TRUE(ok(remove("nothing")));
}

TEST_F(Agent, CarriesTenMebibytesThroughStdinAndBack) {
  create(spec("pipe", {"cat"}));
  start("pipe");
  std::string sent(std::size_t{10} << 20U, '\0');
  for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>(i * 131 % 251);
  const auto write_all = [](AgentClient& client, const std::string& data) -> Task<Status> {
    constexpr std::size_t kChunk = 1000000;  // does not divide the pipe's size
    for (std::size_t at = 0; at < data.size(); at += kChunk) {
      grpc::WriteStreamRequest request;
      request.set_container_id("pipe");
      request.set_data(data.substr(at, kChunk));
      auto written = co_await client.start<grpc::WriteStreamResponse>("WriteStdin", request);
      if (!written) co_return fail(std::move(written).error());
    }
    grpc::CloseStdinRequest close;
    close.set_container_id("pipe");
    auto closed = co_await client.start<Empty>("CloseStdin", close);
    if (!closed) co_return fail(std::move(closed).error());
    co_return Status{};
  };
  Scope scope(client_->executor());
  Status written;
  scope.spawn([&]() -> Task<void> { written = co_await write_all(*client_, sent); });
  EXPECT_TRUE(output("pipe") == sent);
  EXPECT_TRUE(written) << written.error().to_string();
  EXPECT_EQ(wait("pipe"), 0);
  EXPECT_TRUE(ok(remove("pipe")));
}

TEST_F(Agent, StallsOnlyTheStreamThatNobodyReads) {
  create(spec("stalled", {"sh", "-c", "cat /dev/zero"}));
  start("stalled");
  ASSERT_TRUE(ok(exec("stalled", "e", {"echo", "alive"})));
  EXPECT_EQ(output("stalled", "e"), "alive\n");
  EXPECT_TRUE(ok(kill("stalled", SIGKILL)));
  EXPECT_EQ(wait("stalled"), 128 + SIGKILL);
  EXPECT_TRUE(ok(remove("stalled")));
}

TEST_F(Agent, GivesATerminalItsSizeAndItsEnd) {
  auto request = spec("tty", {"sh", "-c", "stty size; read line; stty size; echo got $line"});
  auto& process = *request.mutable_oci()->mutable_process();
  process.set_terminal(true);
  process.mutable_consolesize()->set_height(30);
  process.mutable_consolesize()->set_width(90);
  create(request);
  start("tty");
  grpc::TtyWinResizeRequest resize;
  resize.set_container_id("tty");
  resize.set_row(40);
  resize.set_column(100);
  grpc::ReadStreamRequest read;
  read.set_container_id("tty");
  read.set_len(4096);
  std::string seen;
  while (seen.find("30 90") == std::string::npos) {
    const auto part = client_->call<grpc::ReadStreamResponse>("ReadStdout", read);
    ASSERT_TRUE(ok(part));
    ASSERT_FALSE(part->data().empty()) << seen;
    seen += part->data();
  }
  ASSERT_TRUE(ok(client_->call<Empty>("TtyWinResize", resize)));
  grpc::WriteStreamRequest write;
  write.set_container_id("tty");
  write.set_data("hello\n");
  ASSERT_TRUE(ok(client_->call<grpc::WriteStreamResponse>("WriteStdin", write)));
  seen = output("tty");
  EXPECT_NE(seen.find("40 100"), std::string::npos) << seen;
  EXPECT_NE(seen.find("got hello"), std::string::npos) << seen;
  EXPECT_EQ(wait("tty"), 0);
  EXPECT_TRUE(ok(remove("tty")));
}

TEST_F(Agent, RefusesNamesAndSpecsThatWouldLeaveTheSandbox) {
  auto bad_id = spec("../up", {"true"});
  EXPECT_EQ(client_->call<Empty>("CreateContainer", bad_id).error().code(), Code::kInvalidArgument);
  auto no_mount_namespace = spec("flat", {"true"});
  no_mount_namespace.mutable_oci()->mutable_linux()->mutable_namespaces()->DeleteSubrange(0, 1);
  EXPECT_EQ(client_->call<Empty>("CreateContainer", no_mount_namespace).error().code(),
            Code::kInvalidArgument);
  auto joins = spec("joins", {"true"});
  joins.mutable_oci()->mutable_linux()->mutable_namespaces(0)->set_path("/proc/1/ns/mnt");
  EXPECT_EQ(client_->call<Empty>("CreateContainer", joins).error().code(), Code::kInvalidArgument);
  auto sysctl = spec("sysctl", {"true"});
  (*sysctl.mutable_oci()->mutable_linux()->mutable_sysctl())["kernel.core_pattern"] = "|/bin/sh";
  EXPECT_EQ(client_->call<Empty>("CreateContainer", sysctl).error().code(), Code::kInvalidArgument);
}

TEST_F(Agent, TellsTheHostOnlyTerminationMessagesOfItsShare) {
  const std::string log = "/run/kata-containers/shared/containers/c-0123-log";
  grpc::CopyFileRequest copy;
  copy.set_path(log);
  copy.set_file_mode(S_IFREG | 0666);
  copy.set_dir_mode(0755);
  ASSERT_TRUE(ok(client_->call<Empty>("CopyFile", copy)));
  ASSERT_TRUE(write_file(dir_ / "secret", "hidden"));
  for (const char* name : {"log", "secret"}) ASSERT_TRUE(write_file(dir_ / "rootfs" / name, ""));
  const auto message_of = [&](const std::string& id, const std::string& path) {
    auto request = spec(id, {"sh", "-c", "echo -n done >/log"});
    for (const auto& [source, destination] :
         {std::pair{log, "/log"}, std::pair{(dir_ / "secret").string(), "/secret"}}) {
      auto& mount = *request.mutable_oci()->add_mounts();
      mount.set_source(source);
      mount.set_destination(destination);
      mount.set_type("bind");
      mount.add_options("bind");
    }
    auto& annotations = *request.mutable_oci()->mutable_annotations();
    annotations["io.kubernetes.container.terminationMessagePath"] = path;
    create(request);
    start(id);
    EXPECT_EQ(wait(id), 0);
    grpc::GetDiagnosticDataRequest wanted;
    wanted.set_log_type("termination_log");
    wanted.set_container_id(id);
    const auto got = client_->call<grpc::GetDiagnosticDataResponse>("GetDiagnosticData", wanted);
    EXPECT_TRUE(ok(got));
    EXPECT_TRUE(ok(remove(id)));
    return got ? got->data() : "";
  };
  EXPECT_EQ(message_of("says", "/log"), "done");
  EXPECT_EQ(message_of("spies", "/secret"), "");
}

TEST_F(Agent, TakesNoContainerIntoTheCgroupOfAnother) {
  auto first = spec("first", {"sleep", "1000"});
  first.mutable_oci()->mutable_linux()->set_cgroupspath("/pod/first");
  create(first);
  for (const char* path : {"/pod/first", "/pod/first/inside", "/pod"}) {
    auto second = spec("second", {"true"});
    second.mutable_oci()->mutable_linux()->set_cgroupspath(path);
    EXPECT_EQ(client_->call<Empty>("CreateContainer", second).error().code(),
              Code::kInvalidArgument)
        << path;
  }
  EXPECT_TRUE(ok(remove("first")));
  create(first);
  EXPECT_TRUE(ok(remove("first")));
}

TEST_F(Agent, RefusesASecondSandbox) {
  grpc::CreateSandboxRequest request;
  EXPECT_EQ(client_->call<Empty>("CreateSandbox", request).error().code(),
            Code::kFailedPrecondition);
}

TEST_F(Agent, EndsWhenTheSandboxIsDestroyed) {
  create(spec("left", {"sleep", "1000"}));
  start("left");
  EXPECT_TRUE(ok(client_->call<Empty>("DestroySandbox", grpc::DestroySandboxRequest())));
  const auto status = client_->run(child_->wait());
  ASSERT_TRUE(ok(status));
  EXPECT_EQ(status->as_shell(), 0);
}

}  // namespace
}  // namespace coffer::agent
