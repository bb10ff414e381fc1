// What the agent mounts for the host, as far as it needs no mount: the driver "local".
#include "guest-agent/storage.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "guest-agent/children.h"
#include "guest-agent/device.h"
#include "guest-agent/modules.h"
#include "rpc/protos/agent.pb.h"
#include "tests/base/run_task.h"

namespace coffer::agent {
namespace {

namespace fs = std::filesystem;
using Added = Result<std::vector<std::string>>;
using Requests = std::vector<std::vector<grpc::Storage>>;

class StoragesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "coffer-storages-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  [[nodiscard]] grpc::Storage local(const std::string& name, const char* mode = "mode=0700") const {
    grpc::Storage storage;
    storage.set_driver("local");
    storage.set_source("local");
    storage.set_fstype("local");
    storage.set_mount_point((folder_ / name).native());
    storage.add_options(mode);
    return storage;
  }
  // Asks for each list in turn; what the last of them gave.
  static Added add(const Requests& requests) {
    return run_task<Added>([&](asio::any_io_executor executor) -> Task<Added> {
      Modules modules("/nonexistent");
      DeviceFinder devices(std::chrono::seconds(1), modules);
      ChildRegistry children;
      Storages storages(executor, {}, devices, children, modules, nullptr, {});
      Added last;
      for (const auto& request : requests) {
        std::vector<grpc::Storage> copy = request;
        last = co_await storages.add_all(std::move(copy), "container", false);
      }
      co_return last;
    });
  }

  fs::path folder_;
};

TEST_F(StoragesTest, TheSameOneIsOnlyCounted) {
  const auto shared = local("a");
  EXPECT_TRUE(add({{shared, local("b")}, {shared}}));
  EXPECT_TRUE(fs::is_directory(folder_ / "a"));
}

// What is asked for second would be what was asked for first, whatever the policy has seen.
TEST_F(StoragesTest, AnotherOneAtTheSameMountPointIsRefusedAndBothAreNamed) {
  auto other = local("a");
  other.set_source("elsewhere");
  for (const auto& requests :
       {Requests{{local("a")}, {other}}, Requests{{local("a"), other}},
        Requests{{local("a")}, {local("a/")}}, Requests{{local("a")}, {local("./a")}},
        Requests{{local("a")}, {local("a", "mode=0777")}}}) {
    const auto refused = add(requests);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Code::kInvalidArgument);
  }
  const auto point = (folder_ / "a").native();
  EXPECT_EQ(add({{local("a"), other}}).error().to_string(),
            "add storage 'local': storage 'local' of 'elsewhere' at '" + point +
                "' is another storage at the mount point of storage 'local' of 'local' at '" +
                point + "': want the same one, or a mount point of its own");
}

TEST_F(StoragesTest, OneAroundAnotherIsRefused) {
  const auto refused = add({{local("a/b")}, {local("a")}});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().to_string().find("to be mounted over"), std::string::npos)
      << refused.error().to_string();
  EXPECT_TRUE(add({{local("a")}, {local("a/b")}})) << "within is another matter";
  EXPECT_TRUE(add({{local("ab")}, {local("a")}}));
}

TEST_F(StoragesTest, WhatWasReleasedIsInNobodysWay) {
  run_void([&](asio::any_io_executor executor) -> Task<void> {
    Modules modules("/nonexistent");
    DeviceFinder devices(std::chrono::seconds(1), modules);
    ChildRegistry children;
    Storages storages(executor, {}, devices, children, modules, nullptr, {});
    std::vector<grpc::Storage> first{local("a")};
    const auto added = co_await storages.add_all(std::move(first), "x", false);
    EXPECT_TRUE(added);
    if (added) storages.release(*added);
    std::vector<grpc::Storage> second{local("a", "mode=0777")};
    const auto again = co_await storages.add_all(std::move(second), "x", false);
    EXPECT_TRUE(again);
  });
}

}  // namespace
}  // namespace coffer::agent
