#include "guest-agent/cgroup.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <limits>

#include "base/fd.h"
#include "rpc/protos/agent.pb.h"

namespace coffer::agent {
namespace {

namespace fs = std::filesystem;

class FakeCgroup : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = fs::temp_directory_path() / "cgroup-XXXXXX";
    root_ = ::mkdtemp(name.data());
    fs::create_directories(root_ / "pod/c1");
  }
  void TearDown() override { fs::remove_all(root_); }
  void put(const char* file, std::string_view text) {
    ASSERT_TRUE(write_file(root_ / "pod/c1" / file, text));
  }
  Cgroup cgroup() { return *Cgroup::at(root_, "/pod/c1"); }
  fs::path root_;
};

TEST_F(FakeCgroup, GivesItsFigures) {
  put("cpu.stat",
      "usage_usec 5000\nuser_usec 3000\nsystem_usec 2000\nnr_periods 4\nnr_throttled 1\n"
      "throttled_usec 77\n");
  put("memory.current", "1048576\n");
  put("memory.max", "max\n");
  put("memory.peak", "2097152\n");
  put("memory.stat", "anon 100\nfile 200\ninactive_file 50\nkernel 30\n");
  put("memory.events", "low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\n");
  put("pids.current", "5\n");
  put("pids.max", "64\n");
  put("io.stat", "254:0 rbytes=4096 wbytes=512 rios=1 wios=2 dbytes=0 dios=0\n8:16 \n");
  put("hugetlb.2MB.current", "2097152\n");
  put("hugetlb.2MB.events", "max 9\n");
  const auto stats = cgroup().stats();
  ASSERT_TRUE(stats) << stats.error().to_string();
  EXPECT_EQ(stats->cpu_stats().cpu_usage().total_usage(), 5000000U);
  EXPECT_EQ(stats->cpu_stats().cpu_usage().usage_in_kernelmode(), 2000000U);
  EXPECT_EQ(stats->cpu_stats().throttling_data().throttled_time(), 77000U);
  EXPECT_EQ(stats->memory_stats().usage().usage(), 1048576U);
  EXPECT_EQ(stats->memory_stats().usage().limit(), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(stats->memory_stats().usage().max_usage(), 2097152U);
  EXPECT_EQ(stats->memory_stats().usage().failcnt(), 3U);
  EXPECT_EQ(stats->memory_stats().cache(), 200U);
  EXPECT_EQ(stats->memory_stats().stats().at("total_inactive_file"), 50U);
  EXPECT_EQ(stats->pids_stats().current(), 5U);
  EXPECT_EQ(stats->pids_stats().limit(), 64U);
  ASSERT_EQ(stats->blkio_stats().io_service_bytes_recursive_size(), 4);
  EXPECT_EQ(stats->blkio_stats().io_service_bytes_recursive(0).op(), "Read");
  EXPECT_EQ(stats->blkio_stats().io_service_bytes_recursive(0).value(), 4096U);
  EXPECT_EQ(stats->hugetlb_stats().at("2MB").failcnt(), 9U);
  EXPECT_EQ(cgroup().oom_kills(), 2U);
}

TEST_F(FakeCgroup, IsZeroWhereAControllerIsOff) {
  const auto stats = cgroup().stats();
  ASSERT_TRUE(stats);
  EXPECT_EQ(stats->memory_stats().usage().usage(), 0U);
  EXPECT_EQ(cgroup().oom_kills(), 0U);
}

TEST_F(FakeCgroup, IsNotFoundWhenItDoesNotExist) {
  const auto stats = Cgroup::at(root_, "/pod/none")->stats();
  ASSERT_FALSE(stats);
  EXPECT_EQ(stats.error().code(), Code::kNotFound);
}

TEST(CgroupPath, StaysBelowTheRoot) {
  EXPECT_EQ(Cgroup::at("/cg", "/kubepods/pod1/abc")->path(), "/kubepods/pod1/abc");
  EXPECT_EQ(Cgroup::at("/cg", "abc")->directory(), "/cg/abc");
  EXPECT_EQ(Cgroup::at("/cg", "system.slice:cri-containerd:abc")->path(),
            "/system.slice/cri-containerd-abc.scope");
  EXPECT_EQ(Cgroup::at("/cg", "/pod:1/abc")->path(), "/pod/1/abc");
  for (const char* bad : {"", "/", "/..", "/a/../../b", "../a", "/a/./b", "/a/..:..:..:etc", "a:..",
                          "..:a", "/a/b:."})
    EXPECT_FALSE(Cgroup::at("/cg", bad)) << bad;
}

TEST(FlatKeyed, SkipsLinesOfAnotherForm) {
  const auto values = parse_flat_keyed("a 1\nb x\n c 3\nd\ne 5\nf 99999999999999999999999\n");
  EXPECT_EQ(values.size(), 2U);
  EXPECT_EQ(values.at("a"), 1U);
  EXPECT_EQ(values.at("e"), 5U);
}

TEST(IoStat, ReadsLinesWithAndWithoutFigures) {
  const auto lines = parse_io_stat("254:0 rbytes=1 wbytes=2\n8:0\nnonsense\n:1 rbytes=3\n");
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].major, 254U);
  EXPECT_EQ(lines[0].values.at("wbytes"), 2U);
  EXPECT_TRUE(lines[1].values.empty());
}

}  // namespace
}  // namespace coffer::agent
