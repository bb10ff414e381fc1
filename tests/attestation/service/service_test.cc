#include "attestation/service/service.h"

#include <gtest/gtest.h>

#include "attestation/evidence/evidence.h"
#include "tests/attestation/store/scratch_store.h"

namespace coffer::appraisal {
namespace {

constexpr tee::UnixTime kNow = 1'800'000'000;

// Counts transactions on their way to a store.
class CountingStore final : public store::Store {
 public:
  explicit CountingStore(store::Store& store) : store_(store) {}

  Result<std::optional<store::Entry>> get(std::string_view space, std::string_view key) override {
    return store_.get(space, key);
  }
  Result<std::optional<store::Version>> version(std::string_view space,
                                                std::string_view key) override {
    return store_.version(space, key);
  }
  Result<std::vector<store::Listed>> list(std::string_view space, std::string_view prefix,
                                          std::string_view after, std::size_t limit) override {
    return store_.list(space, prefix, after, limit);
  }
  Result<bool> commit(std::span<const store::Write> writes, store::Durable durable) override {
    ++commits;
    return store_.commit(writes, durable);
  }
  Result<std::size_t> purge() override { return store_.purge(); }
  Result<std::size_t> count(std::string_view space) override { return store_.count(space); }
  Result<std::size_t> trim(std::string_view space, std::size_t keep) override {
    return store_.trim(space, keep);
  }
  std::string describe() const override { return store_.describe(); }

  int commits = 0;

 private:
  store::Store& store_;
};

class Service : public ::testing::Test {
 protected:
  Service() { EXPECT_TRUE(policies_.install_defaults()); }

  // Of a guest that nothing vouches for; the policy warns, which is no refusal.
  Result<Outcome> attest(const Keeper& keeper) {
    const Bytes bound(48, 7);
    const Presented presented{.tee = protocol::Tee::kSample,
                              .evidence = evidence::make_sample(bound),
                              .report_data = bound};
    return service_.attest(presented, "default", kNow, keeper);
  }
  static Keeper once(std::string value) {
    return [value = std::move(value)](const Outcome&) -> Result<Keep> {
      store::Write write{.space = "test", .key = "spent"};
      write.value = to_bytes(value);
      write.condition = store::Write::If::kAbsent;
      return Keep{.writes = {std::move(write)}, .otherwise = "it was spent before"};
    };
  }

  const testing::ScratchStore scratch_{{.clock = [] { return kNow; }}};
  CountingStore store_{*scratch_};
  rv::ValueSet values_{store_};
  Policies policies_{store_, values_};
  Records records_{store_, 100};
  EvidenceVerifier verifier_{[] {
    TrustConfig config;
    config.allow_sample = true;
    return config;
  }()};
  TokenSigner signer_{*TokenSigner::make(*jose::PrivateKey::generate(jose::KeyType::kEcP256), {})};
  AttestationService service_{verifier_, policies_, records_, signer_};
};

TEST_F(Service, AnAttestationIsOneTransaction) {
  store_.commits = 0;
  const auto outcome = attest(once("first"));
  ASSERT_TRUE(outcome) << outcome.error().to_string();
  EXPECT_FALSE(outcome->token.empty());
  EXPECT_EQ(store_.commits, 1);
  EXPECT_EQ(as_text((*store_.get("test", "spent"))->value), "first");
  const auto record = records_.load(outcome->id);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->at("outcome").get<std::string>(), "token");
}

TEST_F(Service, WhatWasSpentBeforeGivesNoTokenAndItsRecordSaysSo) {
  ASSERT_FALSE(attest(once("first"))->token.empty());
  const auto outcome = attest(once("second"));
  ASSERT_TRUE(outcome) << outcome.error().to_string();
  EXPECT_TRUE(outcome->token.empty());
  EXPECT_EQ(outcome->reason, "it was spent before");
  EXPECT_EQ(as_text((*store_.get("test", "spent"))->value), "first");
  const auto record = records_.load(outcome->id);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->at("outcome").get<std::string>(), "refused");
  EXPECT_EQ(record->at("reason").get<std::string>(), "it was spent before");
}

TEST_F(Service, WhatCannotBeKeptIsAnErrorAndItsRecordNamesNoToken) {
  const auto outcome = attest([](const Outcome&) -> Result<Keep> {
    return fail(Code::kUnavailable, "open session: there are too many");
  });
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code(), Code::kUnavailable);
  const auto listed = records_.list(10);
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->size(), 1U);
  EXPECT_EQ(listed->front().at("outcome").get<std::string>(), "refused");
  EXPECT_NE(listed->front().at("reason").get<std::string>().find("too many"), std::string::npos);
}

}  // namespace
}  // namespace coffer::appraisal
