#include "shim/qemu/accelerator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace coffer::shim {
namespace {

using testing::HasSubstr;

const host::KvmState kGood{true, ""};
const host::KvmState kBad{false, "KVM cannot run an ordinary guest"};

HypervisorConfig asking(Accelerator accelerator) {
  HypervisorConfig config;
  config.accelerator = accelerator;
  return config;
}

TEST(Accelerator, AutoPrefersKvmAndWarnsWithoutIt) {
  const auto good = choose_accelerator(asking(Accelerator::kAuto), Tee::kNone, kGood);
  EXPECT_TRUE(good->kvm);
  EXPECT_FALSE(good->warning);
  const auto bad = choose_accelerator(asking(Accelerator::kAuto), Tee::kNone, kBad);
  EXPECT_FALSE(bad->kvm);
  EXPECT_THAT(*bad->warning, HasSubstr(kBad.reason));
}

TEST(Accelerator, KvmAskedForAndAbsentIsOneClearError) {
  EXPECT_TRUE(choose_accelerator(asking(Accelerator::kKvm), Tee::kNone, kGood)->kvm);
  const auto bad = choose_accelerator(asking(Accelerator::kKvm), Tee::kNone, kBad);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().to_string(),
            "accelerator = \"kvm\": KVM cannot run an ordinary guest (\"auto\" would emulate "
            "instead)");
}

TEST(Accelerator, TcgIsTakenAtItsWord) {
  EXPECT_FALSE(choose_accelerator(asking(Accelerator::kTcg), Tee::kNone, kGood)->kvm);
}

TEST(Accelerator, ATeeIsNeverEmulatedByTcg) {
  for (const auto accelerator : {Accelerator::kAuto, Accelerator::kKvm}) {
    const auto bad = choose_accelerator(asking(accelerator), Tee::kSnp, kBad);
    ASSERT_FALSE(bad);
    EXPECT_THAT(bad.error().to_string(), HasSubstr("tee = \"snp\": needs KVM"));
  }
  auto emulated = asking(Accelerator::kAuto);
  emulated.tee_emulation = true;
  EXPECT_FALSE(choose_accelerator(emulated, Tee::kSnp, kBad)->kvm);
}

}  // namespace
}  // namespace coffer::shim
