// Event logs beside a TD's quote: accepted only when they account for its registers.
#include "tee/eventlog/event_log.h"
#include "tests/tee/tdx/fake_intel_fixture.h"
#include "tests/tee/tdx/vectors.h"

namespace coffer::tdx {
namespace {

using Names = std::vector<std::string>;

class TdxEventLog : public FakeIntelTest {
 protected:
  void SetUp() override { COFFER_NEED_VECTORS(); }

  // A TD whose registers are those that the log makes.
  void boot(const Bytes& log) {
    const auto parsed = eventlog::parse_event_log(log).value();
    const auto registers = eventlog::replay(parsed, eventlog::Alg::kSha384, false).value();
    for (std::size_t i = 0; i < quote_spec_.td.rtmr.size(); ++i) {
      const auto it = registers.find(static_cast<std::uint32_t>(i) + 1);
      quote_spec_.td.rtmr[i] = {};
      if (it != registers.end()) std::ranges::copy(it->second, quote_spec_.td.rtmr[i].begin());
    }
  }
  [[nodiscard]] Names failures_with(const Bytes& log) {
    log_ = log;
    Names names = failures(judge());
    log_.reset();
    return names;
  }
};

TEST_F(TdxEventLog, EveryRealLogAccountsForItsTd) {
  for (const auto& entry : index_entries("ccel")) {
    SCOPED_TRACE(entry["file"].get<std::string>());
    const Bytes log = vector_bytes(entry["file"]);
    boot(log);
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_EQ(to_hex(quote_spec_.td.rtmr[i]),
                entry["expected_rtmr"]["rtmr" + std::to_string(i)].get<std::string>());
    }
    // OVMF before 2024 wrote the separator of ready-to-boot into RTMR0, which has one already. That
    // looks like the forged log of the vectors, and wants to be allowed.
    const bool twice =
        std::ranges::count_if(eventlog::parse_event_log(log)->events, [](const auto& e) {
          return e.type == eventlog::kEvSeparator && e.index == 1;
        }) > 1;
    EXPECT_EQ(failures_with(log), twice ? Names{"event_log.semantics"} : Names{});
    if (entry.contains("expected_verdict")) {
      EXPECT_TRUE(twice);
    }
    want_.allow_duplicate_separator = true;
    EXPECT_EQ(failures_with(log), Names{});
    want_.allow_duplicate_separator = false;
  }
}

TEST_F(TdxEventLog, RefusesALogOfAnotherBoot) {
  want_.allow_duplicate_separator = true;
  boot(vector_bytes("eventlogs/cos113_ccel.bin"));
  EXPECT_EQ(failures_with(vector_bytes("eventlogs/ccel_data_grub.bin")),
            (Names{"event_log.rtmr_0", "event_log.rtmr_1", "event_log.rtmr_2"}));
}

// Whatever byte of a digest changes, the register that it went into no longer fits.
TEST_F(TdxEventLog, NamesTheRegisterOfEachChangedDigest) {
  const Bytes good = vector_bytes("eventlogs/ccel_data_ovmf.bin");
  boot(good);
  const auto parsed = eventlog::parse_event_log(good).value();
  std::size_t changed = 0;
  for (const auto& event : parsed.events) {
    if (event.type == eventlog::kEvNoAction) continue;
    const auto at = static_cast<std::size_t>(event.digests[0].value.data() - good.data());
    Bytes bad = good;
    bad[at + changed % 48] ^= 1;
    ++changed;
    EXPECT_THAT(failures_with(bad),
                ::testing::Contains("event_log.rtmr_" + std::to_string(event.index - 1)));
  }
  EXPECT_GE(changed, 15U);
}

TEST_F(TdxEventLog, RefusesALogThatIsCutAnywhere) {
  want_.allow_duplicate_separator = true;
  const Bytes good = vector_bytes("eventlogs/ccel_data_ovmf.bin");
  boot(good);
  const auto parsed = eventlog::parse_event_log(good).value();
  const auto& last = parsed.events.back();
  const auto end = static_cast<std::size_t>(last.data.data() - good.data()) + last.data.size();
  for (std::size_t size = 0; size < end; size += 7) {
    EXPECT_NE(failures_with(Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size))),
              Names{})
        << size;
  }
  EXPECT_EQ(failures_with(Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(end))),
            Names{});
}

TEST_F(TdxEventLog, RefusesARegisterThatNoEventExtended) {
  const Bytes log = vector_bytes("eventlogs/cos113_ccel.bin");
  boot(log);
  quote_spec_.td.rtmr[3][0] = 1;
  EXPECT_EQ(failures_with(log), Names{"event_log.rtmr_3"});
}

}  // namespace
}  // namespace coffer::tdx
