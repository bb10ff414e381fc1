// What of a container's secrets is left in files, with a script in crun's place.
#include "guest-agent/container.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/fd.h"
#include "guest-agent/children.h"
#include "guest-agent/namespaces.h"
#include "rpc/protos/oci.pb.h"
#include "tests/base/run_task.h"

namespace coffer::agent {
namespace {

namespace fs = std::filesystem;

// Reads what crun reads, notes it, keeps a second name for each file, and leaves a process behind.
constexpr const char* kScript = R"sh(
for word in "$@"; do
  case "$word" in
    --root=*) root=${word#*=} ;;
    --bundle=*) bundle=${word#*=} ;;
    --process=*) process=${word#*=} ;;
    --pid-file=*) pid=${word#*=} ;;
  esac
  id=$word
done
cd "$(dirname "$0")"
if [ -n "$bundle" ]; then
  mkdir -p "$root/$id"
  cp "$bundle/config.json" "$root/$id/config.json"
  cp "$bundle/config.json" seen.config
  ln "$bundle/config.json" kept.config
  ln "$root/$id/config.json" kept.copy
fi
if [ -n "$process" ]; then
  cp "$process" seen.process
  ln "$process" kept.process
fi
sleep 1000 &
echo $! > "$pid"
)sh";

Task<Result<SecretBytes>> open_sealed(std::string sealed) {
  co_return SecretBytes(to_bytes("open(" + sealed.substr(7) + ")\n\"\x01"));
}

class ContainerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "coffer-container-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    for (const char* name : {"scratch", "base/shared/containers", "cgroup"})
      fs::create_directories(folder_ / name);
    const auto here = fs::read_symlink("/proc/self/exe").parent_path();
    fs::copy_file(here / "fake_crun", folder_ / "crun");
    ASSERT_TRUE(write_file(folder_ / "crun.sh", kScript));
    // As the agent is: the process that crun leaves behind becomes its child.
    ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  }
  void TearDown() override {
    std::ignore = ::prctl(PR_SET_CHILD_SUBREAPER, 0);
    fs::remove_all(folder_);
  }
  [[nodiscard]] std::string text(const std::string& name) const {
    return read_file(folder_ / name).value_or("(none)");
  }
  static bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
  }
  [[nodiscard]] CrunSettings crun() const {
    return {.program = folder_ / "crun",
            .state_dir = folder_ / "state",
            .scratch_dir = folder_ / "scratch"};
  }
  [[nodiscard]] ContainerSettings settings() const {
    return {.base = folder_ / "base", .cgroup_root = folder_ / "cgroup", .unseal = open_sealed};
  }

  fs::path folder_;
};

TEST_F(ContainerTest, LeavesNoSecretInAFileThatCrunHasRead) {
  run_void([&](asio::any_io_executor executor) -> Task<void> {
    Scope scope(executor);
    ChildRegistry children;
    Crun runner(executor, crun(), children, {});
    SandboxNamespaces namespaces(folder_ / "ns");
    auto spec = std::make_unique<grpc::Spec>();
    spec->mutable_process()->add_args("true");
    spec->mutable_process()->add_env("PASSWORD=sealed.x");
    spec->mutable_process()->set_cwd("/");
    spec->mutable_root()->set_path("/");
    spec->mutable_linux()->add_namespaces()->set_type("mount");
    auto cgroup = Container::cgroup_of(settings(), "ctr", *spec);
    check(cgroup.has_value(), "a cgroup");
    const grpc::Process process = spec->process();
    Container container(settings(), "ctr", std::move(spec), *std::move(cgroup), runner, children,
                        scope, {});
    const Status created = co_await container.create(namespaces, false, false);
    EXPECT_TRUE(created) << created.error().to_string();
    EXPECT_TRUE(has(text("seen.config"), R"("PASSWORD=open(x)\n\"\u0001")")) << text("seen.config");
    for (const char* name :
         {"base/ctr/config.json", "state/ctr/config.json", "kept.config", "kept.copy"}) {
      EXPECT_TRUE(has(text(name), "PASSWORD=sealed.x")) << name << ": " << text(name);
      EXPECT_FALSE(has(text(name), "open(")) << name;
    }
    const Status executed = co_await container.exec("again", process);
    EXPECT_TRUE(executed) << executed.error().to_string();
    EXPECT_TRUE(has(text("seen.process"), R"("PASSWORD=open(x)\n\"\u0001")"));
    const std::string wiped = text("kept.process");
    EXPECT_EQ(wiped.size(), text("seen.process").size());
    EXPECT_TRUE(std::ranges::all_of(wiped, [](char c) { return c == '\0'; }));
    EXPECT_TRUE(fs::is_empty(folder_ / "scratch"));
    const auto removed = co_await container.remove(std::nullopt);
    EXPECT_TRUE(removed) << removed.error().to_string();
    co_await scope.close();
  });
}

// It is made anew only where there is a secret in it: crun's may be large.
TEST_F(ContainerTest, LeavesAConfigurationWithoutSecretsAsItIs) {
  run_void([&](asio::any_io_executor executor) -> Task<void> {
    Scope scope(executor);
    ChildRegistry children;
    Crun runner(executor, crun(), children, {});
    SandboxNamespaces namespaces(folder_ / "ns");
    auto spec = std::make_unique<grpc::Spec>();
    spec->mutable_process()->add_args("true");
    spec->mutable_process()->add_env("PATH=/bin");
    spec->mutable_root()->set_path("/");
    spec->mutable_linux()->add_namespaces()->set_type("mount");
    auto cgroup = Container::cgroup_of(settings(), "ctr", *spec);
    check(cgroup.has_value(), "a cgroup");
    Container container(settings(), "ctr", std::move(spec), *std::move(cgroup), runner, children,
                        scope, {});
    const Status created = co_await container.create(namespaces, false, false);
    EXPECT_TRUE(created) << created.error().to_string();
    EXPECT_EQ(text("base/ctr/config.json"), text("seen.config"));
    EXPECT_TRUE(has(text("seen.config"), "PATH=/bin"));
    const auto removed = co_await container.remove(std::nullopt);
    EXPECT_TRUE(removed) << removed.error().to_string();
    co_await scope.close();
  });
}

}  // namespace
}  // namespace coffer::agent
