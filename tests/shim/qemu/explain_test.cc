#include "shim/qemu/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shim/qemu/lines.h"

namespace coffer::shim {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ExplainQemu, KeepsItsWordsAndAddsAHint) {
  const std::pair<std::vector<std::string>, const char*> kCases[] = {
      {{"qemu: warning: x", "qemu: SNP_LAUNCH_START ret=-5 fw_error=7 'Policy is not allowed'"},
       "fw_error=7 'Policy is not allowed' (the firmware refuses snp_guest_policy"},
      {{"SNP_LAUNCH_FINISH ret=-5 fw_error=22 'x'"}, "(SEV firmware: invalid parameter"},
      {{"SNP_LAUNCH_START ret=-5 fw_error=0x17"}, "(SEV firmware: resource limit"},
      {{"SNP_LAUNCH_START ret=-5 fw_error=999"}, "(SEV firmware error 999)"},
      {{"SNP_LAUNCH_START ret=-5 fw_error=99999999999999"}, "fw_error=99999999999999"},
      {{"Could not access KVM kernel module: Permission denied"}, "(/dev/kvm cannot be used"},
      {{"qemu: -kernel: could not load"}, "qemu: -kernel: could not load"},
      {{"qemu: warning: only this"}, "qemu: warning: only this"},
  };
  for (const auto& [lines, want] : kCases) EXPECT_THAT(explain_qemu(lines), HasSubstr(want));
  EXPECT_EQ(explain_qemu({}), "");
}

TEST(PanicOf, TakesTheKernelsReason) {
  EXPECT_EQ(panic_of("[ 1.2] Kernel panic - not syncing: Attempted to kill init!"),
            "Attempted to kill init!");
  EXPECT_EQ(panic_of("Kernel panic - not syncing"), "no reason given");
  EXPECT_EQ(panic_of("all is well"), "");
}

TEST(LineRing, KeepsTheLastWholeLines) {
  LineRing ring(10);
  std::vector<std::string> seen;
  const auto on_line = [&](const std::string& line) { seen.push_back(line); };
  ring.append("abc\ndef", on_line);
  ring.append("g\n\nhij\r\n", on_line);
  EXPECT_THAT(ring.copy(), ElementsAre("abc", "defg", "hij"));
  ring.append("k\n", on_line);
  EXPECT_THAT(ring.copy(), ElementsAre("defg", "hij", "k"));
  ring.append("tail", on_line);
  ring.finish(on_line);
  EXPECT_THAT(seen, ElementsAre("abc", "defg", "hij", "k", "tail"));
}

TEST(LineRing, HoldsALineWithoutEnd) {
  LineRing ring(100);
  ring.append(std::string(1000000, 'x'), nullptr);
  std::size_t held = 0;
  for (const auto& line : ring.lines()) held += line.size();
  EXPECT_LE(held, 100U);
}

TEST(LineRing, TakesTerminalSequencesOut) {
  LineRing ring(100);
  ring.append("\x1b[?7l\x1b[2Jred\x1b[0;31m\x07 text\n", nullptr);
  EXPECT_THAT(ring.copy(), ElementsAre("red text"));
}

}  // namespace
}  // namespace coffer::shim
