#include "attestation/evidence/runtime_log.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/fd.h"
#include "tee/eventlog/event_log.h"

namespace coffer::evidence {
namespace {

using eventlog::Alg;
using tee::HashAlgorithm;
namespace fs = std::filesystem;

const RuntimeEvent kEvent{.domain = "domain", .operation = "operation", .content = "content"};

// The reference's digests of "domain operation content".
TEST(RuntimeLog, DigestsAreCocos) {
  EXPECT_EQ(to_hex(RuntimeLog(HashAlgorithm::kSha256).digest(kEvent)),
            "46df8dacf00a07d34a83cdf56d7978697790787cf2ba1432ef7c38f22cd96351");
  EXPECT_EQ(
      to_hex(RuntimeLog(HashAlgorithm::kSha384).digest(kEvent)),
      "dad5f0e226318ffa9839b75a472c6aa7fdb5834949d0a0a22990cf04d5692440fb00f3aa0609db7e49cd8d79"
      "3f670d02");
  EXPECT_EQ(
      to_hex(RuntimeLog(HashAlgorithm::kSha512).digest(kEvent)),
      "b708d222ca8bd44dfe6ba0c4ca2cbb72379276fba8091025217064be45a813e5d6124ccf073219edb617d1fa"
      "f007d55061465bdf34b7437dbdc9a7405bd4e9c0");
}

TEST(RuntimeLog, BeginsALogOfItsOwnWhereFirmwareLeftNone) {
  RuntimeLog log(HashAlgorithm::kSha384);
  EXPECT_TRUE(log.continue_log({})->empty());
  log.append(4, kEvent);
  log.append(4, {.domain = "d", .operation = "o", .content = "two words"});
  const auto bytes = log.continue_log({});
  ASSERT_TRUE(bytes) << bytes.error().to_string();
  const auto parsed = eventlog::parse_event_log(*bytes);
  ASSERT_TRUE(parsed) << parsed.error().to_string();
  ASSERT_EQ(parsed->events.size(), 2U);
  EXPECT_EQ(bytes->size() - 8,
            69U + (4 + 4 + 4 + 2 + 48 + 4 + 8 + 24) + (4 + 4 + 4 + 2 + 48 + 4 + 8 + 13));
  const auto registers = eventlog::replay(*parsed, Alg::kSha384);
  ASSERT_TRUE(registers);
  const auto first = eventlog::extend(Alg::kSha384, Bytes(48), log.digest(kEvent)).value();
  EXPECT_NE(registers->at(4), first);
  EXPECT_EQ(registers->at(4),
            eventlog::extend(Alg::kSha384, first,
                             log.digest({.domain = "d", .operation = "o", .content = "two words"}))
                .value());
}

TEST(RuntimeLog, AccountsForWhatAnotherProgramExtended) {
  RuntimeLog log(HashAlgorithm::kSha256);
  const Bytes digest(32, 7);
  log.append_extended(8, digest, "initdata");
  const auto bytes = log.continue_log({}).value();
  const auto parsed = eventlog::parse_event_log(bytes);
  ASSERT_TRUE(parsed) << parsed.error().to_string();
  EXPECT_EQ(eventlog::replay(*parsed, Alg::kSha256)->at(8),
            eventlog::extend(Alg::kSha256, Bytes(32), digest).value());
  EXPECT_TRUE(eventlog::anomalies(*parsed, Alg::kSha256).empty());
}

TEST(RuntimeLog, ContinuesEveryRealLog) {
  const fs::path folder = fs::path(COFFER_VECTORS) / "tdx" / "eventlogs";
  if (!fs::exists(folder)) GTEST_SKIP() << "no vectors: " << folder;
  RuntimeLog log(HashAlgorithm::kSha384);
  log.append(4, kEvent);
  int continued = 0;
  for (const auto& file : fs::directory_iterator(folder)) {
    if (!file.is_regular_file()) continue;
    const auto text = read_file(file.path());
    ASSERT_TRUE(text);
    const auto before = eventlog::parse_event_log(as_bytes(*text));
    if (!before || !before->crypto_agile) continue;
    const auto registers = eventlog::replay(*before, Alg::kSha384);
    if (!registers || registers->contains(4)) continue;
    const auto bytes = log.continue_log(as_bytes(*text));
    ASSERT_TRUE(bytes) << file.path() << bytes.error().to_string();
    const auto after = eventlog::parse_event_log(*bytes);
    ASSERT_TRUE(after) << file.path() << after.error().to_string();
    EXPECT_EQ(after->events.size(), before->events.size() + 1) << file.path();
    auto now = eventlog::replay(*after, Alg::kSha384).value();
    EXPECT_EQ(now.at(4), eventlog::extend(Alg::kSha384, Bytes(48), log.digest(kEvent)).value());
    now.erase(4);
    EXPECT_EQ(now, *registers) << file.path();
    ++continued;
  }
  EXPECT_GE(continued, 3);
}

TEST(RuntimeLog, RefusesEventsThatReadAsOthers) {
  EXPECT_TRUE(check_event(kEvent));
  EXPECT_TRUE(check_event({.domain = "d", .operation = "o", .content = ""}));
  EXPECT_FALSE(check_event({.domain = "a b", .operation = "o", .content = "c"}));
  EXPECT_FALSE(check_event({.domain = "", .operation = "o", .content = "c"}));
  EXPECT_FALSE(check_event({.domain = "d", .operation = "o\n", .content = "c"}));
  EXPECT_FALSE(check_event({.domain = "d", .operation = "o", .content = "c\nd"}));
  RuntimeLog log(HashAlgorithm::kSha256);
  EXPECT_TRUE(log.check_room(kEvent));
  EXPECT_FALSE(
      log.check_room({.domain = "d", .operation = "o", .content = std::string(1U << 20U, 'c')}));
  EXPECT_FALSE((log.append(1, kEvent), log.continue_log(as_bytes("no log"))));
}

}  // namespace
}  // namespace coffer::evidence
