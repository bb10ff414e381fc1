#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/fd.h"
#include "base/host/kvm.h"
#include "base/host/tee.h"

namespace coffer::host {
namespace {

using testing::HasSubstr;

class HostTest : public testing::Test {
 protected:
  HostTest() { std::filesystem::create_directories(root_); }
  ~HostTest() override { std::filesystem::remove_all(root_); }
  std::string boot_id() { return read_file("/proc/sys/kernel/random/boot_id").value_or(""); }
  std::filesystem::path root_ =
      std::filesystem::temp_directory_path() / ("coffer-host-test-" + std::to_string(::getpid()));
};

TEST_F(HostTest, TheProbeGivesAnAnswerWithAReason) {
  if (::access("/dev/kvm", R_OK | W_OK) != 0) GTEST_SKIP() << "needs /dev/kvm";
  const KvmState state = probe_kvm();
  EXPECT_EQ(state.usable, state.reason.empty()) << state.reason;
  EXPECT_EQ(probe_kvm(), state);
  // The guest was set up and entered: a reason speaks of how it ran. (C++ once gave two of KVM's
  // ioctls wrong numbers.)
  EXPECT_THAT(state.reason, testing::Not(HasSubstr("Invalid argument")));
}

TEST_F(HostTest, AnotherDeviceIsNoKvm) {
  const KvmState state = probe_kvm("/dev/null");
  EXPECT_FALSE(state.usable);
  EXPECT_THAT(state.reason, HasSubstr("KVM_GET_API_VERSION"));
}

TEST_F(HostTest, AnAbsentDeviceIsNamedAndNotRemembered) {
  const KvmState state = kvm_state(root_, root_ / "kvm");
  EXPECT_FALSE(state.usable);
  EXPECT_THAT(state.reason, HasSubstr((root_ / "kvm").native()));
  EXPECT_FALSE(std::filesystem::exists(root_ / "kvm-probe"));
}

TEST_F(HostTest, TheAnswerIsRememberedForThisBoot) {
  const KvmState probed = kvm_state(root_, "/dev/null");
  EXPECT_EQ(kvm_state(root_, "/dev/null"), probed);
  ASSERT_TRUE(write_file(root_ / "kvm-probe", boot_id() + "from the record\n"));
  EXPECT_EQ(kvm_state(root_, "/dev/null").reason, "from the record");
  ASSERT_TRUE(write_file(root_ / "kvm-probe", boot_id() + "\n"));
  EXPECT_TRUE(kvm_state(root_, "/dev/null").usable);
}

TEST_F(HostTest, ARecordOfAnotherBootOrOfOthersIsNotBelieved) {
  const KvmState probed = probe_kvm("/dev/null");
  ASSERT_TRUE(write_file(root_ / "kvm-probe", "another-boot\n\n"));
  EXPECT_EQ(kvm_state(root_, "/dev/null"), probed);
  ASSERT_TRUE(write_file(root_ / "kvm-probe", boot_id() + "\n"));
  ASSERT_EQ(::chmod((root_ / "kvm-probe").c_str(), 0666), 0);
  EXPECT_EQ(kvm_state(root_, "/dev/null"), probed);
  std::filesystem::remove(root_ / "kvm-probe");
  ASSERT_TRUE(write_file(root_ / "elsewhere", boot_id() + "\n"));
  std::filesystem::create_symlink(root_ / "elsewhere", root_ / "kvm-probe");
  EXPECT_EQ(kvm_state(root_, "/dev/null"), probed);
}

TEST_F(HostTest, TeesAreReadFromTheKernelsParameters) {
  std::filesystem::create_directories(root_ / "sys/module/kvm_amd/parameters");
  EXPECT_FALSE(detect_tees(root_).snp);
  ASSERT_TRUE(write_file(root_ / "sys/module/kvm_amd/parameters/sev_snp", "Y\n"));
  EXPECT_TRUE(detect_tees(root_).snp);
  EXPECT_FALSE(detect_tees(root_).tdx);
  ASSERT_TRUE(write_file(root_ / "sys/module/kvm_amd/parameters/sev_snp", "N\n"));
  EXPECT_FALSE(detect_tees(root_).snp);
}

TEST(Host, HasProcessorsAndMemory) {
  EXPECT_GE(cpu_count(), 1U);
  EXPECT_GT(memory_mib(), 0U);
}

}  // namespace
}  // namespace coffer::host
