// The whole task service over its socket's protocol, with a guest agent of the test's own.
#include "shim/task/service.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rpc/protos/cgroups_v2.pb.h"
#include "rpc/protos/runtime_options.pb.h"
#include "shim/sandbox/mounts.h"
#include "tests/base/run_task.h"
#include "tests/shim/task/fake_agent.h"
#include "tests/shim/task/fake_containerd.h"
#include "tests/temp_dir.h"

namespace coffer::shim {
namespace {

using coffer::testing::TempDir;
using testing::FakeAgent;
using testing::FakeContainerd;
namespace v2 = containerd::task::v2;
namespace fs = std::filesystem;
using Empty = google::protobuf::Empty;

class FakeMachine final : public Machine {
 public:
  FakeMachine(asio::any_io_executor executor, FakeAgent& agent) : agent_(agent), exit_(executor) {}
  int pid() const override { return 4242; }
  Task<Result<Fd>> connect_agent(Deadline) override { co_return agent_.connect(); }
  Task<std::optional<VmExit>> wait_exit(Deadline deadline) override { return exit_.wait(deadline); }
  Task<VmExit> stop(std::chrono::milliseconds) override {
    end({.kind = VmExit::Kind::kStopped, .reason = "stopped", .status = {}});
    co_return *exit_.peek();
  }
  Task<Result<std::string>> plug_disk(VmDisk) override { co_return "02/01"; }
  Task<Status> unplug_disk(std::string) override { co_return Status{}; }
  std::string diagnosis() const override { return "boot stage: fake"; }

  void end(VmExit exit) {
    agent_.vanish();
    exit_.set(std::move(exit));
  }

 private:
  FakeAgent& agent_;
  Future<VmExit> exit_;
};

constexpr const char* kSpec = R"({
  "ociVersion": "1.0.2", "process": {"args": ["sh"], "cwd": "/"}, "root": {"path": "rootfs"},
  "hostname": "box", "linux": {"namespaces": [{"type": "pid"}, {"type": "network"}]}%s})";

class Service : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: shares are mounts";
    static const bool entered = enter_private_mount_namespace().has_value();
    if (!entered) GTEST_SKIP() << "needs a mount namespace of its own";
  }
  void TearDown() override { EXPECT_TRUE(unmount_tree(dir_.path())); }

  struct World {
    World(asio::any_io_executor executor, const TempDir& dir)
        : agent(executor),
          containerd(executor, (dir.path() / "ttrpc").native()),
          events(executor, publish_options(dir)),
          shut_down(executor) {
      host.state_root = dir.path() / "state";
      host.share_root = dir.path() / "shares";
      host.cgroup_root = dir.path() / "cgroup";
      host.cpus = 2;
      host.memory_mib = 8192;
      host.start_machine = [this](asio::any_io_executor where,
                                  VmOptions options) -> Task<Result<std::unique_ptr<Machine>>> {
        vm = std::move(options);
        auto made = std::make_unique<FakeMachine>(where, agent);
        machine = made.get();
        co_return made;
      };
      host.connect_network = [](const fs::path&, const NetworkOptions&) -> Result<PodNetwork> {
        return PodNetwork();
      };
      host.create_netns = [](const fs::path& path) { return write_file(path, ""); };
      host.undo.disconnect_network = [](std::string_view) -> Status { return {}; };
      host.undo.remove_netns = [](const fs::path& path) -> Status {
        fs::remove(path);
        return {};
      };
      host.use_kvm = [](const HypervisorConfig&, Tee, const Logger&) -> Result<bool> {
        return false;
      };
      pod = std::make_unique<Pod>(executor, host, events, "ns", Logger());
      service = std::make_unique<TaskService>(*pod, shut_down, "", true, Logger());
      rpc::Router router;
      service->add_to(router);
      server = std::make_unique<rpc::Server>(executor, std::move(router));
      std::array<int, 2> ends{};
      check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) == 0,
            "socketpair failed");
      server->serve(Fd(ends[1]));
      client = std::make_unique<rpc::Client>(executor, Fd(ends[0]));
      containerd.up();
    }

    static EventPublisher::Options publish_options(const TempDir& dir) {
      EventPublisher::Options options;
      options.ttrpc_address = (dir.path() / "ttrpc").native();
      options.containerd_namespace = "ns";
      return options;
    }

    template <typename Resp, typename Req>
    Task<Result<Resp>> call(std::string method, Req request) {
      Result<Resp> response =
          co_await rpc::call<Resp>(*client, "containerd.task.v3.Task", std::move(method), request);
      co_return response;
    }
    Task<void> close() {
      client->close();
      co_await pod->close();
      co_await server->shutdown();
      co_await events.close();
      containerd.down();
    }

    FakeAgent agent;
    FakeContainerd containerd;
    Host host;
    EventPublisher events;
    Event shut_down;
    VmOptions vm;
    FakeMachine* machine = nullptr;
    std::unique_ptr<Pod> pod;
    std::unique_ptr<TaskService> service;
    std::unique_ptr<rpc::Server> server;
    std::unique_ptr<rpc::Client> client;
  };

  // A bundle with a root file system; `more` is added to its specification.
  v2::CreateTaskRequest bundle(const std::string& id, const std::string& more = "") {
    const fs::path path = dir_.path() / "bundles" / id;
    fs::create_directories(path / "rootfs" / "bin");
    std::string spec = kSpec;
    spec.replace(spec.find("%s"), 2, more);
    check(write_file(path / "config.json", spec).has_value(), "write failed");
    v2::CreateTaskRequest request;
    request.set_id(id);
    request.set_bundle(path.native());
    runtimeoptions::v1::Options options;
    options.set_config_body(
        "[hypervisor.qemu]\nkernel = \"/k\"\ninitrd = \"/i\"\nshared_fs = \"virtio-9p\"\n"
        "[runtime]\nsandbox_cgroup_only = true\n");
    request.mutable_options()->set_type_url("runtimeoptions.v1.Options");
    request.mutable_options()->set_value(options.SerializeAsString());
    return request;
  }
  v2::CreateTaskRequest pod_container(const std::string& id, const std::string& sandbox) {
    return bundle(id, R"(,"annotations":{"io.kubernetes.cri.container-type":"container",)"
                      R"("io.kubernetes.cri.sandbox-id":")" +
                          sandbox + "\"}");
  }
  v2::CreateTaskRequest sandbox_bundle(const std::string& id) {
    return bundle(id, R"(,"annotations":{"io.kubernetes.cri.container-type":"sandbox"})");
  }

  template <typename Req>
  static Req named(const std::string& id, const std::string& exec_id = "") {
    Req request;
    request.set_id(id);
    if constexpr (requires { request.set_exec_id(exec_id); }) request.set_exec_id(exec_id);
    return request;
  }

  static Task<void> create_and_start(World& world, v2::CreateTaskRequest request) {
    const std::string id = request.id();
    const auto created = co_await world.call<v2::CreateTaskResponse>("Create", std::move(request));
    EXPECT_TRUE(created) << created.error().to_string();
    const auto started =
        co_await world.call<v2::StartResponse>("Start", named<v2::StartRequest>(id));
    EXPECT_TRUE(started) << started.error().to_string();
  }

  void run(std::function<Task<void>(World&)> body) {
    run_void([&](asio::any_io_executor executor) -> Task<void> {
      World world(executor, dir_);
      co_await body(world);
      co_await world.close();
      EXPECT_FALSE(fs::exists(world.host.state_root / "c1")) << "the record is left";
      const bool empty = !fs::exists(world.host.share_root) || fs::is_empty(world.host.share_root);
      EXPECT_TRUE(empty) << "shares are left";
    });
  }

  TempDir dir_;
};

TEST_F(Service, RunsAContainerFromCreateToDelete) {
  run([&](World& world) -> Task<void> {
    co_await create_and_start(world, bundle("c1"));
    auto state = co_await world.call<v2::StateResponse>("State", named<v2::StateRequest>("c1"));
    EXPECT_TRUE(state);
    EXPECT_EQ(state->status(), containerd::v1::types::RUNNING);
    EXPECT_EQ(state->pid(), 4242U);
    world.agent.process("c1", "")->exit(7);
    auto waited = co_await world.call<v2::WaitResponse>("Wait", named<v2::WaitRequest>("c1"));
    EXPECT_TRUE(waited);
    EXPECT_EQ(waited->exit_status(), 7U);
    EXPECT_GT(waited->exited_at().seconds(), 0);
    auto deleted =
        co_await world.call<v2::DeleteResponse>("Delete", named<v2::DeleteRequest>("c1"));
    EXPECT_TRUE(deleted);
    EXPECT_EQ(deleted->exit_status(), 7U);
    co_await world.containerd.wait_for(4);
    const std::vector<std::string> want = {"/tasks/create c1", "/tasks/start c1",
                                           "/tasks/exit c1 c1 7", "/tasks/delete c1"};
    EXPECT_EQ(world.containerd.events, want);
    auto down = co_await world.call<Empty>("Shutdown", named<v2::ShutdownRequest>("c1"));
    EXPECT_TRUE(down);
    EXPECT_TRUE(world.shut_down.is_set());
  });
}

TEST_F(Service, GivesTheGuestWhatItNeeds) {
  run([&](World& world) -> Task<void> {
    fs::create_directories(dir_.path() / "data");
    EXPECT_TRUE(write_file(dir_.path() / "data" / "file", "hello"));
    const auto request =
        bundle("c1", R"(,"mounts":[{"destination":"/data","type":"bind","source":")" +
                         (dir_.path() / "data").native() +
                         R"(","options":["rbind","ro"]},{"destination":"/proc","type":"proc"}])");
    co_await create_and_start(world, request);
    EXPECT_EQ(world.agent.sandbox.sandbox_id(), "c1");
    EXPECT_EQ(world.agent.sandbox.hostname(), "box");
    EXPECT_EQ(world.agent.sandbox.storages(0).driver(), "9p");
    EXPECT_EQ(world.agent.sandbox.storages(0).source(), "kataShared");
    EXPECT_EQ(world.agent.containers.size(), 1U);
    const grpc::CreateContainerRequest& create = world.agent.containers.at(0);
    EXPECT_EQ(create.oci().root().path(), "/run/kata-containers/shared/containers/c1/rootfs");
    EXPECT_EQ(create.oci().mounts_size(), 2);
    EXPECT_EQ(create.oci().mounts(1).source(), "");
    EXPECT_FALSE(create.sandbox_pidns());
    EXPECT_EQ(world.vm.spec.shares.size(), 1U);
    const fs::path exported = world.vm.spec.shares.at(0).path;
    EXPECT_TRUE(fs::exists(exported / "c1" / "rootfs" / "bin"));
    const std::string name = fs::path(create.oci().mounts(0).source()).filename().native();
    EXPECT_EQ(read_file(exported / name / "file").value_or(""), "hello");
    EXPECT_FALSE(write_file(exported / name / "file", "x"));
    world.agent.process("c1", "")->exit(0);
  });
}

TEST_F(Service, AnswersEachMistakeWithItsCode) {
  run([&](World& world) -> Task<void> {
    const auto code = [](const auto& result) { return result ? Code::kOk : result.error().code(); };
    auto nobody = co_await world.call<v2::StateResponse>("State", named<v2::StateRequest>("x1"));
    EXPECT_EQ(code(nobody), Code::kNotFound);
    auto kill = co_await world.call<Empty>("Kill", named<v2::KillRequest>("x1"));
    EXPECT_EQ(code(kill), Code::kNotFound);
    co_await create_and_start(world, bundle("c1"));
    auto twice = co_await world.call<v2::CreateTaskResponse>("Create", bundle("c1"));
    EXPECT_EQ(code(twice), Code::kAlreadyExists);
    auto second = co_await world.call<v2::CreateTaskResponse>("Create", bundle("c2"));
    EXPECT_EQ(code(second), Code::kFailedPrecondition);
    auto again = co_await world.call<v2::StartResponse>("Start", named<v2::StartRequest>("c1"));
    EXPECT_EQ(code(again), Code::kFailedPrecondition);
    auto early = co_await world.call<v2::DeleteResponse>("Delete", named<v2::DeleteRequest>("c1"));
    EXPECT_EQ(code(early), Code::kFailedPrecondition);
    auto checkpoint =
        co_await world.call<Empty>("Checkpoint", named<v2::CheckpointTaskRequest>("c1"));
    EXPECT_EQ(code(checkpoint), Code::kUnimplemented);
    auto resume = co_await world.call<Empty>("Resume", named<v2::ResumeRequest>("c1"));
    EXPECT_EQ(code(resume), Code::kFailedPrecondition);
    auto exec = co_await world.call<v2::StartResponse>("Start", named<v2::StartRequest>("c1", "e"));
    EXPECT_EQ(code(exec), Code::kNotFound);
    auto bad = named<v2::ExecProcessRequest>("c1", "e1");
    bad.mutable_spec()->set_value("{");
    auto refused = co_await world.call<Empty>("Exec", bad);
    EXPECT_EQ(code(refused), Code::kInvalidArgument);
    auto busy = co_await world.call<Empty>("Shutdown", named<v2::ShutdownRequest>("c1"));
    EXPECT_TRUE(busy);
    EXPECT_FALSE(world.shut_down.is_set());
    world.agent.process("c1", "")->exit(0);
  });
}

TEST_F(Service, ExecutesWithEventsInOrder) {
  run([&](World& world) -> Task<void> {
    co_await create_and_start(world, bundle("c1"));
    auto exec = named<v2::ExecProcessRequest>("c1", "e1");
    exec.set_terminal(true);
    exec.mutable_spec()->set_value(R"({"args":["id"],"cwd":"/"})");
    auto added = co_await world.call<Empty>("Exec", exec);
    EXPECT_TRUE(added);
    auto size = named<v2::ResizePtyRequest>("c1", "e1");
    size.set_width(100);
    size.set_height(30);
    auto resized = co_await world.call<Empty>("ResizePty", size);
    EXPECT_TRUE(resized);
    auto started =
        co_await world.call<v2::StartResponse>("Start", named<v2::StartRequest>("c1", "e1"));
    EXPECT_TRUE(started);
    EXPECT_TRUE(world.agent.execs.at(0).process().terminal());
    EXPECT_EQ(world.agent.process("c1", "e1")->sizes.at(0).first, 100U);
    world.agent.process("c1", "e1")->exit(3);
    auto waited = co_await world.call<v2::WaitResponse>("Wait", named<v2::WaitRequest>("c1", "e1"));
    EXPECT_EQ(waited->exit_status(), 3U);
    auto deleted =
        co_await world.call<v2::DeleteResponse>("Delete", named<v2::DeleteRequest>("c1", "e1"));
    EXPECT_EQ(deleted->exit_status(), 3U);
    world.agent.process("c1", "")->exit(0);
    co_await world.containerd.wait_for(6);
    const std::vector<std::string> want = {"/tasks/create c1",        "/tasks/start c1",
                                           "/tasks/exec-added c1 e1", "/tasks/exec-started c1 e1",
                                           "/tasks/exit c1 e1 3",     "/tasks/exit c1 c1 0"};
    EXPECT_EQ(world.containerd.events, want);
  });
}

TEST_F(Service, ASlowCreateBlocksNothingElse) {
  run([&](World& world) -> Task<void> {
    co_await create_and_start(world, sandbox_bundle("c1"));
    const auto slow = std::make_shared<Event>(co_await asio::this_coro::executor);
    world.agent.hold("CreateContainer", slow);
    Scope scope(co_await asio::this_coro::executor);
    bool created = false;
    scope.spawn([&]() -> Task<void> {
      auto response =
          co_await world.call<v2::CreateTaskResponse>("Create", pod_container("c2", "c1"));
      created = response.has_value();
    });
    while (world.agent.calls.back() != "CreateContainer") {
      co_await sleep_for(std::chrono::milliseconds(1));
    }
    auto state = co_await world.call<v2::StateResponse>("State", named<v2::StateRequest>("c1"));
    EXPECT_TRUE(state);
    auto kill = named<v2::KillRequest>("c1");
    kill.set_signal(10);
    auto killed = co_await world.call<Empty>("Kill", kill);
    EXPECT_TRUE(killed);
    auto same = co_await world.call<v2::StateResponse>("State", named<v2::StateRequest>("c2"));
    EXPECT_FALSE(same);
    EXPECT_FALSE(created);
    slow->set();
    co_await scope.join();
    EXPECT_TRUE(created);
  });
}

TEST_F(Service, ContainersShareTheVmAndEndByThemselves) {
  run([&](World& world) -> Task<void> {
    co_await create_and_start(world, sandbox_bundle("c1"));
    co_await create_and_start(world, pod_container("c2", "c1"));
    world.agent.process("c2", "")->exit(5);
    auto waited = co_await world.call<v2::WaitResponse>("Wait", named<v2::WaitRequest>("c2"));
    EXPECT_EQ(waited->exit_status(), 5U);
    auto deleted =
        co_await world.call<v2::DeleteResponse>("Delete", named<v2::DeleteRequest>("c2"));
    EXPECT_TRUE(deleted);
    auto state = co_await world.call<v2::StateResponse>("State", named<v2::StateRequest>("c1"));
    EXPECT_EQ(state->status(), containerd::v1::types::RUNNING);
    EXPECT_FALSE(fs::exists(world.host.share_root / "c1" / "mounts" / "c2"));
  });
}

TEST_F(Service, AVmThatDiesEndsEveryProcess) {
  run([&](World& world) -> Task<void> {
    co_await create_and_start(world, sandbox_bundle("c1"));
    co_await create_and_start(world, pod_container("c2", "c1"));
    auto created = co_await world.call<v2::CreateTaskResponse>("Create", pod_container("c3", "c1"));
    EXPECT_TRUE(created);
    world.machine->end({.kind = VmExit::Kind::kKilled, .reason = "killed by 9", .status = {}});
    for (const char* id : {"c1", "c2", "c3"}) {
      auto waited = co_await world.call<v2::WaitResponse>("Wait", named<v2::WaitRequest>(id));
      EXPECT_TRUE(waited);
      EXPECT_EQ(waited->exit_status(), 137U) << id;
      auto kill = named<v2::KillRequest>(id);
      kill.set_signal(9);
      auto killed = co_await world.call<Empty>("Kill", kill);
      EXPECT_TRUE(killed);
      auto deleted =
          co_await world.call<v2::DeleteResponse>("Delete", named<v2::DeleteRequest>(id));
      EXPECT_TRUE(deleted);
    }
  });
}

TEST_F(Service, TellsOomBeforeTheExit) {
  run([&](World& world) -> Task<void> {
    co_await create_and_start(world, bundle("c1"));
    world.agent.oom("c1");
    co_await world.containerd.wait_for(3);
    world.agent.process("c1", "")->exit(137);
    co_await world.containerd.wait_for(4);
    EXPECT_EQ(world.containerd.events[2], "/tasks/oom c1");
    EXPECT_EQ(world.containerd.events[3], "/tasks/exit c1 c1 137");
  });
}

TEST_F(Service, AFailedCreateLeavesRoomForTheNext) {
  run([&](World& world) -> Task<void> {
    world.agent.fail_next("CreateContainer", Error(Code::kPermissionDenied, "blocked by policy"));
    auto refused = co_await world.call<v2::CreateTaskResponse>("Create", bundle("c1"));
    EXPECT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Code::kPermissionDenied);
    EXPECT_NE(refused.error().message().find("blocked by policy"), std::string::npos);
    EXPECT_FALSE(fs::exists(world.host.state_root / "c1"));
    co_await create_and_start(world, bundle("c1"));
    world.agent.process("c1", "")->exit(0);
  });
}

TEST_F(Service, AFailedBootSaysHowFarItCame) {
  run([&](World& world) -> Task<void> {
    world.host.start_machine = [](asio::any_io_executor,
                                  VmOptions) -> Task<Result<std::unique_ptr<Machine>>> {
      co_return fail(Code::kFailedPrecondition, "QEMU exited: could not load kernel '/k'");
    };
    auto refused = co_await world.call<v2::CreateTaskResponse>("Create", bundle("c1"));
    EXPECT_FALSE(refused);
    EXPECT_NE(refused.error().message().find("could not load kernel"), std::string::npos);
    auto down = co_await world.call<Empty>("Shutdown", named<v2::ShutdownRequest>("c1"));
    EXPECT_TRUE(down);
    EXPECT_TRUE(world.shut_down.is_set());
  });
}

TEST_F(Service, PausesResumesAndKills) {
  run([&](World& world) -> Task<void> {
    co_await create_and_start(world, bundle("c1"));
    auto paused = co_await world.call<Empty>("Pause", named<v2::PauseRequest>("c1"));
    EXPECT_TRUE(paused);
    auto state = co_await world.call<v2::StateResponse>("State", named<v2::StateRequest>("c1"));
    EXPECT_EQ(state->status(), containerd::v1::types::PAUSED);
    auto kill = named<v2::KillRequest>("c1");
    kill.set_signal(9);
    auto killed = co_await world.call<Empty>("Kill", kill);
    EXPECT_TRUE(killed);
    auto waited = co_await world.call<v2::WaitResponse>("Wait", named<v2::WaitRequest>("c1"));
    EXPECT_EQ(waited->exit_status(), 137U);
    // Dead already: success all the same.
    auto again = co_await world.call<Empty>("Kill", kill);
    EXPECT_TRUE(again);
  });
}

TEST_F(Service, GivesMetricsOfTheHostsCgroupMode) {
  run([&](World& world) -> Task<void> {
    world.agent.stats.mutable_cgroup_stats()
        ->mutable_cpu_stats()
        ->mutable_cpu_usage()
        ->set_usage_in_usermode(5000);
    world.agent.stats.mutable_cgroup_stats()->mutable_memory_stats()->mutable_usage()->set_usage(
        77);
    co_await create_and_start(world, bundle("c1"));
    auto stats = co_await world.call<v2::StatsResponse>("Stats", named<v2::StatsRequest>("c1"));
    EXPECT_TRUE(stats);
    EXPECT_EQ(stats->stats().type_url(), "io.containerd.cgroups.v2.Metrics");
    io::containerd::cgroups::v2::Metrics metrics;
    EXPECT_TRUE(metrics.ParseFromString(stats->stats().value()));
    EXPECT_EQ(metrics.cpu().user_usec(), 5U);
    EXPECT_EQ(metrics.cpu().system_usec(), 0U);
    EXPECT_EQ(metrics.memory().usage(), 77U);
    world.agent.process("c1", "")->exit(0);
  });
}

TEST(ConfigSources, ReadsRuntimeOptionsAndPassesOverOthers) {
  runtimeoptions::v1::Options options;
  options.set_config_path("/etc/c.toml");
  google::protobuf::Any any;
  any.set_type_url("runtimeoptions.v1.Options");
  any.set_value(options.SerializeAsString());
  EXPECT_EQ(config_sources(any, "")->option_path, "/etc/c.toml");
  any.set_type_url("type.googleapis.com/runtimeoptions.v1.Options");
  EXPECT_EQ(config_sources(any, "")->option_path, "/etc/c.toml");
  any.set_type_url("containerd.runc.v1.Options");
  any.set_value(
      "\x0a\x03"
      "abc");
  EXPECT_EQ(config_sources(any, "/env")->option_path, "");
  EXPECT_EQ(config_sources(any, "/env")->env_path, "/env");
  any.set_type_url("runtimeoptions.v1.Options");
  any.set_value("\xff\xff");
  EXPECT_FALSE(config_sources(any, ""));
}

}  // namespace
}  // namespace coffer::shim
