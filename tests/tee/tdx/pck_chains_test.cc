// PCK chains are kept as they were read, and judged each time.
#include "tee/tdx/pck_chains.h"

#include <thread>

#include "tests/tee/tdx/fake_intel_fixture.h"

namespace coffer::tdx {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class TdxPckChains : public FakeIntelTest {
 protected:
  // The chain of this Intel, in as many forms as are asked for: trailing white space is no part of
  // a certificate, but of what was read.
  [[nodiscard]] std::string variant(std::size_t number) const {
    return intel_.pck_chain_pem() + std::string(number, '\n');
  }
  [[nodiscard]] std::shared_ptr<const PckChain> read(std::string_view pem) {
    return chains_.read(as_bytes(pem), {}).value();
  }
  [[nodiscard]] static std::vector<std::string> failures_at(const CollateralSet& set,
                                                            BytesView quote, tee::UnixTime time) {
    return failures(verify({.quote = quote, .event_log = {}}, set, {}, time));
  }

  PckChains chains_;
};

TEST_F(TdxPckChains, EqualBytesAreReadOnce) {
  const auto first = read(variant(0));
  EXPECT_EQ(first->certificates.size(), 3U);
  EXPECT_EQ(first->pck.value().fmspc, intel_.spec().platform.fmspc);
  EXPECT_EQ(read(variant(0)), first);
  EXPECT_NE(read(variant(1)), first);
}

TEST_F(TdxPckChains, EveryChangedByteIsReadAnew) {
  const std::string good = variant(0);
  const auto first = read(good);
  for (std::size_t i = 0; i < good.size(); i += 7) {
    std::string changed = good;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    const auto chain = chains_.read(as_bytes(changed), {});
    EXPECT_TRUE(!chain || *chain != first) << i;
  }
}

TEST_F(TdxPckChains, KeepsTheLastFewOfABoundedSize) {
  const auto first = read(variant(0));
  for (std::size_t i = 1; i < PckChains::kMaxChains; ++i) (void)read(variant(i));
  EXPECT_EQ(read(variant(0)), first);
  (void)read(variant(PckChains::kMaxChains));
  EXPECT_NE(read(variant(0)), first);

  const std::string largest = variant(PckChains::kMaxSize - variant(0).size());
  EXPECT_EQ(read(largest), read(largest));
  EXPECT_NE(read(largest + "\n"), read(largest + "\n"));
}

TEST_F(TdxPckChains, WhatCannotBeReadIsNotKept) {
  for (const std::string& bad : {std::string(), "text " + variant(0), std::string("-----BEGIN ")}) {
    EXPECT_FALSE(chains_.read(as_bytes(bad), {}));
    EXPECT_FALSE(chains_.read(as_bytes(bad), {}));
  }
}

TEST_F(TdxPckChains, TimeAndSignaturesAreAskedAnewOfAKnownChain) {
  const auto set = CollateralSet::prepare(collateral_, anchors());
  const Bytes good = quote();
  EXPECT_THAT(failures_at(set, good, kNow), IsEmpty());
  EXPECT_THAT(failures_at(set, good, kNow), IsEmpty());
  EXPECT_THAT(failures_at(set, good, kNow + 31 * kDay), ::testing::Contains("pck_chain.validity"));
  Bytes changed = good;
  changed[100] ^= 1;  // in the TD's body
  EXPECT_THAT(failures_at(set, changed, kNow), ::testing::Contains("quote.signature"));
  EXPECT_THAT(failures_at(set, good, kNow), IsEmpty());
}

TEST_F(TdxPckChains, RevocationIsAskedOfEachSetOfCollateral) {
  const Bytes good = quote();
  const auto set = CollateralSet::prepare(collateral_, anchors());
  EXPECT_THAT(failures_at(set, good, kNow), IsEmpty());
  collateral_.pck_crl = intel_.pck_crl({intel_.pck_spec().serial}).value();
  const auto revoked = CollateralSet::prepare(collateral_, anchors());
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(failures_at(revoked, good, kNow), ElementsAre("pck.not_revoked"));
  }
}

TEST_F(TdxPckChains, AForgedChainStaysForgedWhenItIsKnown) {
  const auto other = make();
  const Bytes foreign = other.quote(other.quote_spec()).value();
  const auto set = CollateralSet::prepare(collateral_, anchors());
  const auto once = failures_at(set, foreign, kNow);
  EXPECT_THAT(once, ::testing::Contains("pck_chain.root"));
  EXPECT_EQ(failures_at(set, foreign, kNow), once);
}

TEST_F(TdxPckChains, ManyThreadsReadAtOnce) {
  std::vector<std::string> forms;
  for (std::size_t i = 0; i < 2 * PckChains::kMaxChains; ++i) forms.push_back(variant(i));
  std::vector<std::size_t> read_well(4);
  std::vector<std::thread> threads;
  for (auto& count : read_well) {
    threads.emplace_back([&] {
      for (const auto& form : forms) {
        const auto chain = chains_.read(as_bytes(form), {});
        if (chain && (*chain)->certificates.size() == 3) ++count;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(read_well, ::testing::Each(forms.size()));
}

}  // namespace
}  // namespace coffer::tdx
