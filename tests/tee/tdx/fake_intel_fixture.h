// A vocabulary for TDX verification tests: a throwaway Intel, what it vouches for, and what is
// changed in it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tee/emulator/tdx_pki.h"
#include "tee/tdx/verify.h"
#include "tee/x509_bundle.h"

namespace coffer::tdx {

inline constexpr tee::UnixTime kNow = 1'780'000'000;
inline constexpr tee::UnixTime kDay = 86400;

class FakeIntelTest : public ::testing::Test {
 protected:
  FakeIntelTest() : intel_(make()), quote_spec_(intel_.quote_spec()) {
    collateral_ = intel_.collateral().value();
  }

  static emulator::FakeIntel make() {
    return emulator::FakeIntel::make(
               {.not_before = kNow - kDay, .not_after = kNow + 30 * kDay, .platform = {}})
        .value();
  }

  // The anchor that trusts this Intel, and no other.
  [[nodiscard]] TrustAnchors anchors() const {
    return TrustAnchors(
        tee::parse_x509_bundle(as_bytes(intel_.root_pem()), "root").value().certificates);
  }
  [[nodiscard]] Bytes quote() const { return intel_.quote(quote_spec_).value(); }

  [[nodiscard]] tee::Verdict judge_bytes(BytesView quote) const {
    const auto set = CollateralSet::prepare(collateral_, anchors());
    return verify({.quote = quote, .event_log = log_}, set, want_, time_);
  }
  [[nodiscard]] tee::Verdict judge() const { return judge_bytes(quote()); }

  // Names of the checks that failed.
  [[nodiscard]] static std::vector<std::string> failures(const tee::Verdict& verdict) {
    std::vector<std::string> names;
    for (const auto& check : verdict.failed()) names.push_back(check.name);
    return names;
  }
  void expect_refused_for(const std::vector<std::string>& names) const {
    const tee::Verdict verdict = judge();
    EXPECT_FALSE(verdict.verified());
    EXPECT_THAT(failures(verdict), ::testing::UnorderedElementsAreArray(names))
        << verdict.to_table();
  }
  void expect_accepted() const {
    const tee::Verdict verdict = judge();
    EXPECT_TRUE(verdict.verified()) << verdict.to_table();
  }

  // Edits the signed JSON and signs it again with the right key.
  void edit_tcb_info(const std::function<void(nlohmann::ordered_json&)>& edit) {
    auto value = nlohmann::ordered_json::parse(intel_.tcb_info_value());
    edit(value);
    collateral_.tcb_info = intel_.sign_document("tcbInfo", value.dump()).value();
  }
  void edit_qe_identity(const std::function<void(nlohmann::ordered_json&)>& edit) {
    auto value = nlohmann::ordered_json::parse(intel_.qe_identity_value());
    edit(value);
    collateral_.qe_identity = intel_.sign_document("enclaveIdentity", value.dump()).value();
  }

  emulator::FakeIntel intel_;
  emulator::QuoteSpec quote_spec_;
  CollateralInput collateral_;
  Expectations want_;
  std::optional<BytesView> log_;
  tee::UnixTime time_ = kNow;
};

}  // namespace coffer::tdx
