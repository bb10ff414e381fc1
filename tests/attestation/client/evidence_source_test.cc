#include "attestation/client/evidence_source.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tee/eventlog/event_log.h"

namespace coffer::client {
namespace {

using eventlog::Alg;

// What was asked of it, shared with the test: the source owns it.
struct Asked {
  Bytes report_data;
  std::vector<std::pair<unsigned, Bytes>> extended;
};

class FakeAttester final : public tee::Attester {
 public:
  FakeAttester(std::string_view tee, Asked& asked) : tee_(tee), asked_(asked) {}
  [[nodiscard]] std::string_view tee() const override { return tee_; }
  [[nodiscard]] Result<tee::Evidence> evidence(BytesView report_data) override {
    asked_.report_data.assign(report_data.begin(), report_data.end());
    tee::Evidence evidence;
    evidence.tee = tee_;
    evidence.report = {1, 2, 3};
    return evidence;
  }
  [[nodiscard]] Status extend(unsigned index, BytesView digest) override {
    asked_.extended.emplace_back(index, Bytes(digest.begin(), digest.end()));
    return {};
  }
  [[nodiscard]] Result<Bytes> host_bound_data() override {
    return fail(Code::kUnimplemented, "none");
  }

 private:
  std::string tee_;
  Asked& asked_;
};

const evidence::RuntimeEvent kEvent{.domain = "d", .operation = "o", .content = "c"};

TEST(EvidenceSource, OfATdCarriesWhatWasMeasuredAtRunTime) {
  Asked asked;
  const auto source = make_source(std::make_unique<FakeAttester>("tdx", asked));
  ASSERT_TRUE(source);
  const Bytes report_data(48, 7);
  EXPECT_TRUE((*source)->evidence(report_data).value()["cc_eventlog"].is_null());
  EXPECT_EQ(asked.report_data, report_data);

  ASSERT_TRUE((*source)->measure(kEvent, std::nullopt));
  ASSERT_TRUE((*source)->measure(kEvent, 8));
  ASSERT_EQ(asked.extended.size(), 2U);
  EXPECT_EQ(asked.extended[0].first, 17U);
  EXPECT_EQ(asked.extended[1].first, 8U);

  const auto json = (*source)->evidence(report_data);
  ASSERT_TRUE(json);
  const Bytes log = from_base64((*json)["cc_eventlog"].get<std::string>()).value();
  const auto registers = eventlog::replay(eventlog::parse_event_log(log).value(), Alg::kSha384);
  ASSERT_TRUE(registers);
  // PCR 17 is RTMR3, PCR 8 RTMR2; the log counts from MRTD.
  const auto want = eventlog::extend(Alg::kSha384, Bytes(48), asked.extended[0].second).value();
  EXPECT_EQ(registers->at(4), want);
  EXPECT_EQ(registers->at(3), want);
}

TEST(EvidenceSource, MeasuresNothingThatIsNoEventOrNoRegister) {
  Asked asked;
  const auto source = make_source(std::make_unique<FakeAttester>("tpm", asked));
  ASSERT_TRUE(source);
  EXPECT_FALSE((*source)->measure({.domain = "a b", .operation = "o", .content = ""}, {}));
  EXPECT_FALSE((*source)->measure(kEvent, 24));
  EXPECT_TRUE(asked.extended.empty());
  ASSERT_TRUE((*source)->measure(kEvent, std::nullopt));
  EXPECT_EQ(asked.extended[0].first, 15U);
  EXPECT_EQ(asked.extended[0].second.size(), 32U);
  EXPECT_EQ(make_sample_source()->measure(kEvent, {}).error().code(), Code::kUnimplemented);
}

TEST(EvidenceSource, CutsATpmsNonce) {
  Asked asked;
  const auto source = make_source(std::make_unique<FakeAttester>("tpm", asked));
  EXPECT_FALSE((*source)->evidence(Bytes(48, 7))) << "the fake has no PCRs";
  EXPECT_EQ(asked.report_data, Bytes(32, 7));
}

TEST(EvidenceSource, RefusesAnAttesterOfAnotherKind) {
  Asked asked;
  EXPECT_FALSE(make_source(std::make_unique<FakeAttester>("sgx", asked)));
  EXPECT_FALSE(make_source(std::make_unique<FakeAttester>("hello", asked)));
}

}  // namespace
}  // namespace coffer::client
