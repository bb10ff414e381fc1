#include "tee/detect.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "base/fd.h"

namespace coffer::tee {
namespace {

namespace fs = std::filesystem;

class DetectTee : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = fs::temp_directory_path() / "detect-XXXXXX";
    root_ = ::mkdtemp(name.data());
  }
  void TearDown() override { fs::remove_all(root_); }
  void put(const std::string& path, std::string_view text = "") {
    fs::create_directories((root_ / path).parent_path());
    ASSERT_TRUE(write_file(root_ / path, text));
  }
  std::string found() {
    const auto tee = detect_tee(DevicePaths::below(root_));
    return tee ? tee->value_or("none") : "!" + tee.error().message();
  }

  fs::path root_;
};

TEST_F(DetectTee, NamesTheStrongestThatHasADevice) {
  EXPECT_EQ(found(), "none");
  put("dev/tpmrm0");
  EXPECT_EQ(found(), "tpm");
  put("dev/tdx_guest");
  EXPECT_EQ(found(), "tdx");
  put("dev/sev-guest");
  EXPECT_EQ(found(), "snp");
}

// Taken for a machine without a TEE, a guest would believe initdata that nothing binds.
TEST_F(DetectTee, DoesNotOverlookATeeWhoseDriverIsMissing) {
  fs::create_directories(root_ / "sys/devices/system/cpu/sev");
  EXPECT_EQ(
      found(),
      "!find TEE: the kernel runs in one (snp), and its device is not there, only none (is its "
      "driver loaded?)");
  put("dev/tpmrm0");
  EXPECT_TRUE(found().starts_with("!")) << found();
  put("dev/sev-guest");
  EXPECT_EQ(found(), "snp");
}

TEST_F(DetectTee, ReadsTheFlagsOfACpu) {
  put("proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu tdx_guest\nbugs\t\t: x\n\nprocessor\t: 1\n");
  EXPECT_TRUE(found().starts_with("!find TEE: the kernel runs in one (tdx)")) << found();
  put("dev/tdx_guest");
  EXPECT_EQ(found(), "tdx");
  fs::remove(root_ / "dev/tdx_guest");
  put("proc/cpuinfo", "model name\t: tdx_guest \nflags\t\t: fpu tdx_guest_x\nbugs\t: tdx_guest \n");
  EXPECT_EQ(found(), "none");
  put("proc/cpuinfo", "flags : tdx_guest");
  EXPECT_EQ(found(), "none") << "not a kernel's";
}

}  // namespace
}  // namespace coffer::tee
