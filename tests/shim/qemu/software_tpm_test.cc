// The software TPM as QEMU meets it: over its control channel.
#include "shim/qemu/software_tpm.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "tests/temp_dir.h"

namespace coffer::shim {
namespace {

constexpr int kPatienceMs = 20000;

class SoftwareTpmTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kSwtpm)) GTEST_SKIP() << "no " << kSwtpm;
    std::filesystem::create_directory(state_);
  }

  testing::TempDir dir_;
  std::filesystem::path state_ = dir_.path() / "tpm";
};

bool wait_for(int fd) {
  pollfd end{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&end, 1, kPatienceMs) == 1;
}

TEST_F(SoftwareTpmTest, AnswersOnItsControlChannel) {
  auto tpm = start_software_tpm(state_, -1);
  ASSERT_TRUE(tpm) << tpm.error().to_string();
  // swtpm_ioctl(8): CMD_GET_CAPABILITY, big endian; the reply is eight bytes of capabilities.
  const std::array<std::uint8_t, 4> command = {0, 0, 0, 1};
  ASSERT_TRUE(write_all(tpm->control.get(), command, "ask swtpm"));
  ASSERT_TRUE(wait_for(tpm->control.get()));
  std::array<std::uint8_t, 8> reply{};
  ASSERT_EQ(::read(tpm->control.get(), reply.data(), reply.size()), 8);
  EXPECT_NE(reply[6] | reply[7], 0);
}

TEST_F(SoftwareTpmTest, DiesWithItsOwner) {
  auto tpm = start_software_tpm(state_, -1);
  ASSERT_TRUE(tpm) << tpm.error().to_string();
  const Fd pidfd(::dup(tpm->child.pidfd()));
  {
    const SoftwareTpm gone = *std::move(tpm);
  }
  EXPECT_TRUE(wait_for(pidfd.get()));
}

}  // namespace
}  // namespace coffer::shim
