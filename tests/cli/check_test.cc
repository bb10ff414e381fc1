#include "cli/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/fd.h"
#include "cli/check_host.h"

namespace coffer::cli {
namespace {

using State = Finding::State;
using testing::HasSubstr;

class CheckTest : public testing::Test {
 protected:
  CheckTest() {
    std::filesystem::create_directories(root_);
    config_.kernel = put("kernel", std::string(0x202, '\0') + "HdrS....");
    config_.initrd = put("initrd", "x");
    facts_.kvm = {true, ""};
    facts_.vhost_vsock = facts_.vhost_net = facts_.tun = facts_.dev_sev = true;
    facts_.tees = {.snp = true, .tdx = true};
    facts_.qemu = {"QEMU emulator version 10.1.0", "  sev-snp-guest\n  tdx-guest\n",
                   "name \"virtio-9p-pci\"", ""};
  }
  ~CheckTest() override { std::filesystem::remove_all(root_); }

  std::string put(const std::string& name, std::string_view content) {
    EXPECT_TRUE(write_file(root_ / name, content));
    return root_ / name;
  }
  Finding find(const std::string& name) const {
    for (const auto& finding : judge_host(config_, facts_)) {
      if (finding.name == name) return finding;
    }
    ADD_FAILURE() << "no finding " << name;
    return {};
  }

  std::filesystem::path root_ =
      std::filesystem::temp_directory_path() / ("coffer-check-" + std::to_string(::getpid()));
  shim::HypervisorConfig config_;
  HostFacts facts_;
};

TEST_F(CheckTest, AHostThatHasEverythingPasses) {
  for (const auto& finding : judge_host(config_, facts_)) {
    EXPECT_EQ(finding.state, State::kPass) << finding.name << ": " << finding.detail;
    EXPECT_EQ(finding.advice, "");
  }
}

TEST_F(CheckTest, WhatThePlainClassDoesNotNeedIsANote) {
  facts_ = HostFacts{.kvm = {false, "no"}, .tun = true, .qemu = facts_.qemu};
  for (const auto* name : {"kvm", "vhost-vsock", "sev-snp", "tdx"}) {
    EXPECT_EQ(find(name).state, State::kNote) << name;
    EXPECT_NE(find(name).advice, "") << name;
  }
}

TEST_F(CheckTest, WhatAConfidentialClassNeedsFails) {
  facts_.kvm = {false, "no"};
  facts_.tees = {};
  config_.tee = shim::TeeSetting::kSnp;
  for (const auto* name : {"kvm", "sev-snp", "firmware", "class"}) {
    EXPECT_EQ(find(name).state, State::kFail) << name;
  }
  EXPECT_EQ(find("tdx").state, State::kNote);
}

TEST_F(CheckTest, QemuMustBeThereAndNewEnough) {
  facts_.qemu.version = "QEMU emulator version 6.1.0 (Debian)";
  EXPECT_EQ(find("qemu").state, State::kFail);
  facts_.qemu.version = "QEMU emulator version 7.2.0";
  EXPECT_EQ(find("qemu").state, State::kPass);
  facts_.qemu.version = "bash 5.2";
  EXPECT_EQ(find("qemu").state, State::kFail);
  facts_.qemu = ask_qemu("/nonexistent/qemu");
  EXPECT_THAT(find("qemu").detail, HasSubstr("No such file"));
  EXPECT_EQ(ask_qemu("/bin/false").version, "");
}

TEST_F(CheckTest, BootFilesAreLookedInto) {
  EXPECT_EQ(find("kernel").state, State::kPass);
  config_.kernel = put("elf",
                       "\x7f"
                       "ELF....");
  EXPECT_EQ(find("kernel").state, State::kPass);
  config_.kernel = put("text", "hello");
  EXPECT_THAT(find("kernel").detail, HasSubstr("neither a bzImage nor an ELF file"));
  config_.initrd = root_ / "absent";
  EXPECT_EQ(find("initrd").state, State::kFail);
}

TEST_F(CheckTest, NinePStandsInForVirtioFs) {
  config_.virtio_fs_daemon = root_ / "absent";
  EXPECT_THAT(find("shared files").detail, HasSubstr("virtio-9p, for there is no"));
  facts_.qemu.devices = "";
  EXPECT_EQ(find("shared files").state, State::kFail);
  config_.shared_fs = shim::SharedFs::kNone;
  EXPECT_EQ(find("shared files").state, State::kPass);
}

TEST_F(CheckTest, ACommandWithoutAConfigurationIsAnError) {
  const std::vector<std::string> args = {"--config", root_ / "absent.toml"};
  EXPECT_EQ(check_command().run(args), kExitError);
}

}  // namespace
}  // namespace coffer::cli
