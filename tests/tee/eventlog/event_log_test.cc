#include "tee/eventlog/event_log.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tee/eventlog/ccel_table.h"
#include "tests/tee/tdx/vectors.h"

namespace coffer::eventlog {
namespace {

using tdx::index_entries;
using tdx::vector_bytes;
using tdx::vectors_dir;
using ::testing::HasSubstr;

// Little endian; zeros above the value's eight bytes.
void put(Bytes& out, std::uint64_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i, value >>= 8U)
    out.push_back(static_cast<std::uint8_t>(value & 0xffU));
}

void put(Bytes& out, std::string_view text) { out.insert(out.end(), text.begin(), text.end()); }

using Algs = std::vector<std::pair<std::uint16_t, std::uint16_t>>;

// Writes logs, right and wrong.
class LogBuilder {
 public:
  explicit LogBuilder(const Algs& algs = {{0xc, 48}}) {
    Bytes spec = to_bytes(std::string_view("Spec ID Event03\0", 16));
    put(spec, 0, 4);
    put(spec, 0x02000200, 4);
    put(spec, algs.size(), 4);
    for (const auto& [id, size] : algs) {
      put(spec, id, 2);
      put(spec, size, 2);
    }
    spec.push_back(0);
    put(bytes_, 0, 4);
    put(bytes_, kEvNoAction, 4);
    bytes_.resize(bytes_.size() + 20);
    put(bytes_, spec.size(), 4);
    bytes_.insert(bytes_.end(), spec.begin(), spec.end());
  }

  // With a SHA-384 digest; that of the data when none is given.
  LogBuilder& event(std::uint32_t index, std::uint32_t type, std::string_view data,
                    std::optional<Bytes> digest = {}) {
    put(bytes_, index, 4);
    put(bytes_, type, 4);
    put(bytes_, 1, 4);
    put(bytes_, 0xc, 2);
    const Bytes value = digest ? *digest : hash(Alg::kSha384, as_bytes(data)).value();
    bytes_.insert(bytes_.end(), value.begin(), value.end());
    put(bytes_, data.size(), 4);
    put(bytes_, data);
    return *this;
  }
  LogBuilder& raw(std::uint64_t value, std::size_t size) {
    put(bytes_, value, size);
    return *this;
  }
  [[nodiscard]] const Bytes& bytes() const { return bytes_; }

 private:
  Bytes bytes_;
};

constexpr std::string_view kZeros("\0\0\0\0", 4);

TEST(EventLog, ReplaysEveryCcelVectorToItsRegisters) {
  COFFER_NEED_VECTORS();
  for (const auto& entry : index_entries("ccel")) {
    SCOPED_TRACE(entry["file"].get<std::string>());
    const Bytes bytes = vector_bytes(entry["file"]);
    const auto log = parse_event_log(bytes);
    ASSERT_TRUE(log) << log.error().to_string();
    EXPECT_EQ(log->events.size(), entry["events"].get<std::size_t>());
    auto registers = replay(*log, Alg::kSha384).value();
    for (std::uint32_t i = 0; i < 4; ++i) {
      const Bytes value = registers.contains(i + 1) ? registers[i + 1] : Bytes(48);
      EXPECT_EQ(to_hex(value),
                entry["expected_rtmr"]["rtmr" + std::to_string(i)].get<std::string>());
    }
  }
}

TEST(EventLog, ReplaysEveryTpmVectorInEveryBank) {
  COFFER_NEED_VECTORS();
  for (const auto& entry : index_entries("tpm-eventlog")) {
    SCOPED_TRACE(entry["file"].get<std::string>());
    const Bytes bytes = vector_bytes(entry["file"]);
    const auto log = parse_event_log(bytes);
    ASSERT_TRUE(log) << log.error().to_string();
    for (const auto& [bank, pcrs] : entry["replayed_pcrs"].items()) {
      auto registers = replay(*log, alg_from_name(bank).value(), false).value();
      EXPECT_EQ(registers.size(), pcrs.size());
      for (const auto& [pcr, value] : pcrs.items()) {
        EXPECT_EQ(to_hex(registers[static_cast<std::uint32_t>(std::stoul(pcr))]),
                  value.get<std::string>())
            << pcr;
      }
    }
  }
}

TEST(EventLog, FlagsTheVectorWithADuplicateSeparator) {
  COFFER_NEED_VECTORS();
  const Bytes bytes = vector_bytes("eventlogs/gcp_cos113_dupe_separator.bin");
  const auto log = parse_event_log(bytes).value();
  EXPECT_THAT(anomalies(log, Alg::kSha384),
              ::testing::ElementsAre("register 1 has a second separator"));
  const Bytes sane = vector_bytes("eventlogs/cos113_ccel.bin");
  EXPECT_THAT(anomalies(parse_event_log(sane).value(), Alg::kSha384), ::testing::IsEmpty());
}

TEST(EventLog, DoesNotExtendNoAction) {
  LogBuilder log;
  log.event(1, kEvNoAction, "told, not measured").event(1, kEvSeparator, kZeros);
  const auto registers = replay(parse_event_log(log.bytes()).value(), Alg::kSha384).value();
  const Bytes digest = hash(Alg::kSha384, as_bytes(kZeros)).value();
  EXPECT_EQ(registers.at(1), extend(Alg::kSha384, Bytes(48), digest).value());
}

TEST(EventLog, AnExtraEventChangesTheRegister) {
  LogBuilder a;
  a.event(1, kEvSeparator, kZeros);
  LogBuilder b;
  b.event(1, kEvSeparator, kZeros).event(1, kEvAction, "x");
  EXPECT_NE(replay(parse_event_log(a.bytes()).value(), Alg::kSha384).value(),
            replay(parse_event_log(b.bytes()).value(), Alg::kSha384).value());
}

TEST(EventLog, StopsAtEndMarkersAndPadding) {
  for (const std::uint64_t padding : {0ULL, ~0ULL}) {
    LogBuilder log;
    log.event(1, kEvSeparator, kZeros);
    for (int i = 0; i < 5; ++i) log.raw(padding, 8);
    log.raw(padding, 3);
    EXPECT_EQ(parse_event_log(log.bytes()).value().events.size(), 1U);
  }
}

TEST(EventLog, RefusesMalformedRecords) {
  struct Case {
    const char* what;
    Bytes bytes;
    const char* error;
  };
  const Bytes digest(48);
  const auto record = [](std::uint32_t count) {
    LogBuilder log;
    log.raw(1, 4).raw(kEvAction, 4).raw(count, 4);
    return log;
  };
  const std::vector<Case> cases = {
      {"unknown algorithm", record(1).raw(0xb, 2).raw(0, 32).bytes(), "not declared"},
      {"digest count huge", record(0xffffffff).bytes(), "digests: got 4294967295"},
      {"more digests than banks", record(2).bytes(), "digests: got 2"},
      {"size overflow", record(0).raw(0xffffffff, 4).bytes(), "need 4294967295 bytes"},
      {"truncated digest", record(1).raw(0xc, 2).raw(0, 20).bytes(), "need 48 bytes"},
      {"truncated head", LogBuilder().raw(0x010203, 3).bytes(), "which are no record"},
      {"wrong digest size", LogBuilder({{0xc, 32}}).bytes(), "digest size of sha384"},
      {"algorithm twice", LogBuilder({{0xc, 48}, {0xc, 48}}).bytes(), "stands twice"},
      {"no algorithm", LogBuilder(Algs{}).bytes(), "algorithms: got 0"},
  };
  for (const auto& test : cases) {
    const auto log = parse_event_log(test.bytes);
    ASSERT_FALSE(log) << test.what;
    EXPECT_THAT(log.error().to_string(), HasSubstr(test.error)) << test.what;
  }
}

TEST(EventLog, RefusesADigestTwiceInOneEvent) {
  LogBuilder log({{0xc, 48}, {0xb, 32}});
  log.raw(1, 4).raw(kEvAction, 4).raw(2, 4);
  for (int i = 0; i < 2; ++i) {
    log.raw(0xc, 2);
    for (int j = 0; j < 6; ++j) log.raw(1, 8);
  }
  log.raw(0, 4);
  EXPECT_FALSE(parse_event_log(log.bytes()));
}

TEST(EventLog, TruncationAtEveryByteIsRefusedOrShorter) {
  LogBuilder builder;
  builder.event(1, kEvSeparator, kZeros).event(2, kEvEfiAction, "Calling EFI Application");
  const Bytes& bytes = builder.bytes();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto log = parse_event_log(BytesView(bytes).first(size));
    EXPECT_TRUE(!log || log->events.size() < 2) << size;
  }
}

TEST(EventLog, ReadsSha1OnlyLogs) {
  Bytes bytes;
  put(bytes, 4, 4);
  put(bytes, kEvSeparator, 4);
  const Bytes digest = hash(Alg::kSha1, as_bytes(kZeros)).value();
  bytes.insert(bytes.end(), digest.begin(), digest.end());
  put(bytes, 4, 4);
  put(bytes, kZeros);
  const auto log = parse_event_log(bytes).value();
  EXPECT_FALSE(log.crypto_agile);
  EXPECT_EQ(replay(log, Alg::kSha1).value().at(4), extend(Alg::kSha1, Bytes(20), digest).value());
  EXPECT_FALSE(replay(log, Alg::kSha256));
}

TEST(EventLog, StartupLocalityIsTheInitialValueOfPcr0) {
  LogBuilder builder;
  builder.event(0, kEvNoAction, std::string_view("StartupLocality\0\3", 17))
      .event(0, kEvSeparator, kZeros);
  const auto log = parse_event_log(builder.bytes()).value();
  EXPECT_EQ(log.startup_locality, 3);
  Bytes start(48);
  start.back() = 3;
  const Bytes digest = hash(Alg::kSha384, as_bytes(kZeros)).value();
  EXPECT_EQ(replay(log, Alg::kSha384).value().at(0), extend(Alg::kSha384, start, digest).value());
  EXPECT_NE(replay(log, Alg::kSha384, false).value(), replay(log, Alg::kSha384).value());
}

TEST(EventLog, NamesDataThatItsDigestDoesNotBearOut) {
  LogBuilder builder;
  builder.event(2, kEvEfiAction, "Calling EFI Application from Boot Option", Bytes(48, 7))
      .event(1, kEvSeparator, std::string_view("\1\0\0\0", 4));
  const auto problems = anomalies(parse_event_log(builder.bytes()).value(), Alg::kSha384);
  ASSERT_EQ(problems.size(), 2U);
  EXPECT_THAT(problems[0], HasSubstr("EV_EFI_ACTION"));
  EXPECT_THAT(problems[1], HasSubstr("separator with data 01000000"));
}

TEST(EventLog, SaysWhenATypeDoesNotAuthenticateItsData) {
  LogBuilder builder;
  builder.event(2, kEvEfiBootServicesApplication, "path", Bytes(48, 1))
      .event(3, kEvIpl, std::string_view("grub_cmd: linux /vmlinuz\0", 25),
             hash(Alg::kSha384, as_bytes("linux /vmlinuz")).value());
  const auto log = parse_event_log(builder.bytes()).value();
  EXPECT_EQ(digest_matches_data(log.events[0], Alg::kSha384), std::nullopt);
  EXPECT_EQ(digest_matches_data(log.events[1], Alg::kSha384), true);
}

// A table with a right checksum.
Bytes ccel_table() {
  Bytes out = to_bytes(std::string_view("CCEL\x38\0\0\0\x01", 9));
  out.resize(36);
  put(out, 2, 2);           // TDX, subtype 0
  put(out, 0, 2);           // reserved
  put(out, 0x40000, 8);     // LAML
  put(out, 0xbedbf000, 8);  // LASA
  std::uint8_t sum = 0;
  for (const std::uint8_t byte : out) sum = static_cast<std::uint8_t>(sum + byte);
  out[9] = static_cast<std::uint8_t>(-sum);
  return out;
}

TEST(CcelTable, SaysWhereTheLogLies) {
  const auto table = parse_ccel_table(ccel_table());
  ASSERT_TRUE(table) << table.error().to_string();
  EXPECT_EQ(table->cc_type, kCcTypeTdx);
  EXPECT_EQ(table->log_area_length, 0x40000U);
  EXPECT_EQ(table->log_area_start, 0xbedbf000U);
}

TEST(CcelTable, EqualsTheVector) {
  COFFER_NEED_VECTORS();
  for (const auto& entry : index_entries("acpi-ccel")) {
    const auto table = parse_ccel_table(vector_bytes(entry["file"]));
    ASSERT_TRUE(table) << table.error().to_string();
    const auto& want = entry["expected"];
    EXPECT_EQ(table->cc_type, want["cc_type"]);
    EXPECT_EQ(table->cc_subtype, want["subtype"]);
    EXPECT_EQ(fmt::format("{:#x}", table->log_area_length), want["laml"].get<std::string>());
    EXPECT_EQ(fmt::format("{:#x}", table->log_area_start), want["lasa"].get<std::string>());
  }
}

TEST(CcelTable, RefusesEveryFlippedByteAndEverySize) {
  const Bytes good = ccel_table();
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] ^= 1;
    EXPECT_FALSE(parse_ccel_table(bad)) << i;
    EXPECT_FALSE(parse_ccel_table(BytesView(good).first(i)));
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_FALSE(parse_ccel_table(longer));
}

}  // namespace
}  // namespace coffer::eventlog
