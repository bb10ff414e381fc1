#include "shim/bootstrap/socket.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>

#include "shim/bootstrap/sha256.h"
#include "tests/temp_dir.h"

namespace coffer::shim {
namespace {

using testing::TempDir;

TEST(Socket, JoinsPathsAsGoDoes) {
  struct Case {
    std::array<std::string_view, 3> parts;
    std::string_view want;
  };
  for (const Case& each : {Case{{"/run/containerd/containerd.sock", "k8s.io", "id"},
                                "/run/containerd/containerd.sock/k8s.io/id"},
                           Case{{"", "n", "i"}, "n/i"}, Case{{"//a//b/", "./c", "d"}, "/a/b/c/d"},
                           Case{{"/a/..", "..", "b"}, "/b"}, Case{{"a/..", "..", "b"}, "../b"},
                           Case{{"", "", ""}, ""}, Case{{"a", "..", ""}, "."}}) {
    EXPECT_EQ(join_path(each.parts), each.want);
  }
}

TEST(Socket, IsNamedByTheHashOfAddressNamespaceAndId) {
  EXPECT_EQ(socket_path("/run/containerd/s", "/run/containerd/containerd.sock", "default", "x1"),
            "/run/containerd/s/" + sha256_hex("/run/containerd/containerd.sock/default/x1"));
}

TEST(Socket, IsPrivateToItsOwner) {
  const TempDir dir;
  const auto path = dir.path() / "s" / "name";
  const auto socket = listen_or_join(path);
  ASSERT_TRUE(socket) << socket.error().to_string();
  struct stat info{};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0600U);
  ASSERT_EQ(::stat(path.parent_path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0700U);
}

TEST(Socket, JoinsALivingShim) {
  const TempDir dir;
  const auto path = dir.path() / "name";
  const auto first = listen_or_join(path);
  ASSERT_TRUE(first && std::holds_alternative<Fd>(*first));
  const auto second = listen_or_join(path);
  ASSERT_TRUE(second) << second.error().to_string();
  EXPECT_TRUE(std::holds_alternative<Joined>(*second));
}

TEST(Socket, ReplacesAStaleSocket) {
  const TempDir dir;
  const auto path = dir.path() / "name";
  {
    const auto dead = listen_or_join(path);
  }
  EXPECT_FALSE(is_listening(path));
  const auto socket = listen_or_join(path);
  ASSERT_TRUE(socket) << socket.error().to_string();
  EXPECT_TRUE(std::holds_alternative<Fd>(*socket));
  EXPECT_TRUE(is_listening(path));
}

TEST(Socket, SaysWhichPathIsTooLong) {
  const TempDir dir;
  const auto socket = listen_or_join(dir.path() / std::string(108, 'x'));
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().code(), Code::kInvalidArgument);
  EXPECT_NE(socket.error().to_string().find("at most 107 fit"), std::string::npos);
}

}  // namespace
}  // namespace coffer::shim
