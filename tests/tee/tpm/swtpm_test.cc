// Our attester against a real TPM implementation (swtpm), verified offline.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "tee/eventlog/boot_events.h"
#include "tee/tpm/device.h"
#include "tee/tpm/verifier.h"
#include "tee/tpm/verify.h"
#include "tests/tee/tpm/swtpm.h"

namespace coffer::tpm {
namespace {

using eventlog::Alg;
using ::testing::IsEmpty;
using Names = std::vector<std::string>;

const Bytes kNonce = {0xde, 0xad, 0xbe, 0xef};

Names failures(const tee::Verdict& verdict) {
  Names names;
  for (const auto& check : verdict.failed()) names.push_back(check.name);
  return names;
}

void put_le(Bytes& out, std::uint64_t value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

// A crypto-agile log of SHA-256 whose events are separators of these PCRs.
Bytes separator_log(const std::vector<unsigned>& pcrs) {
  Bytes log;
  put_le(log, 0, 4);  // PCR
  put_le(log, eventlog::kEvNoAction, 4);
  log.resize(log.size() + 20);  // SHA-1
  put_le(log, 33, 4);
  for (const char c : std::string_view("Spec ID Event03\0", 16)) put_le(log, std::uint64_t(c), 1);
  put_le(log, 0, 4);       // platform class
  put_le(log, 0x0002, 2);  // version 2.0
  put_le(log, 0x0200, 2);  // errata 0, UINTN of 8 bytes
  put_le(log, 1, 4);
  put_le(log, 0x000b, 2);
  put_le(log, 32, 2);
  put_le(log, 0, 1);
  const Bytes digest = eventlog::separator_digest(Alg::kSha256).value();
  for (const unsigned pcr : pcrs) {
    put_le(log, pcr, 4);
    put_le(log, eventlog::kEvSeparator, 4);
    put_le(log, 1, 4);
    put_le(log, 0x000b, 2);
    log.insert(log.end(), digest.begin(), digest.end());
    put_le(log, 4, 4);
    put_le(log, 0, 4);
  }
  return log;
}

// Everything that a verifier gets.
struct Taken {
  Bytes ak;
  SignedQuote quote;
  PcrBanks pcrs;
};

class SwtpmTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kSwtpm)) GTEST_SKIP() << "no " << kSwtpm;
    auto started = Swtpm::start();
    ASSERT_TRUE(started) << started.error().to_string();
    swtpm_ = *std::move(started);
    want_.nonce = kNonce;
    want_.required_pcrs = {4, 9};
  }

  [[nodiscard]] Tpm open() const { return Tpm::open(swtpm_->tcti()).value(); }
  [[nodiscard]] Taken take(const std::vector<PcrSelection>& selections) const {
    Tpm tpm = open();
    Bytes ak = tpm.create_ak().value();
    SignedQuote quote = tpm.quote(kNonce, selections).value();
    return {
        .ak = std::move(ak), .quote = std::move(quote), .pcrs = tpm.read_pcrs(selections).value()};
  }
  [[nodiscard]] tee::Verdict judge(const Taken& taken) const {
    Evidence evidence{.attest = taken.quote.attest,
                      .signature = taken.quote.signature,
                      .pcrs = taken.pcrs,
                      .event_log = {}};
    if (!log_.empty()) evidence.event_log = log_;
    return verify(evidence, parse_attestation_key(taken.ak).value(), want_);
  }

  static std::vector<PcrSelection> selection(std::set<unsigned> pcrs, Alg bank = Alg::kSha256) {
    return {{.bank = bank, .pcrs = std::move(pcrs)}};
  }

  std::unique_ptr<Swtpm> swtpm_;
  Expectations want_;
  Bytes log_;
};

TEST_F(SwtpmTest, QuoteVerifiesOffline) {
  const Taken taken = take(selection({4, 9}));
  const auto verdict = judge(taken);
  EXPECT_TRUE(verdict.verified()) << verdict.to_table();
  EXPECT_EQ(taken.pcrs.at(Alg::kSha256).at(4), Bytes(32));
}

TEST_F(SwtpmTest, ItsMakerLeavesItOneBank) {
  Tpm tpm = open();
  ASSERT_TRUE(tpm.allocate_bank(Alg::kSha256));
  const auto ak = tpm.create_ak();
  ASSERT_TRUE(ak);
  EXPECT_TRUE(tpm.shut_down());
}

TEST_F(SwtpmTest, QuoteOfEveryPcrInTwoBanksVerifies) {
  std::vector<PcrSelection> all = {{.bank = Alg::kSha256, .pcrs = {}},
                                   {.bank = Alg::kSha384, .pcrs = {}}};
  for (auto& bank : all) {
    for (unsigned pcr = 0; pcr < kPcrCount; ++pcr) bank.pcrs.insert(pcr);
  }
  const Taken taken = take(all);
  for (const Alg bank : {Alg::kSha256, Alg::kSha384}) {
    want_.bank = bank;
    EXPECT_THAT(failures(judge(taken)), IsEmpty());
    EXPECT_EQ(taken.pcrs.at(bank).size(), kPcrCount);
  }
}

TEST_F(SwtpmTest, RefusesAWrongNonce) {
  want_.nonce->back() ^= 1;
  EXPECT_EQ(failures(judge(take(selection({4, 9})))), Names{"nonce"});
}

TEST_F(SwtpmTest, RefusesASelectionWithoutARequiredPcr) {
  EXPECT_EQ(failures(judge(take(selection({4})))), Names{"selection.pcrs"});
}

TEST_F(SwtpmTest, RefusesAnUnselectedBank) {
  EXPECT_EQ(failures(judge(take(selection({4, 9}, Alg::kSha1)))),
            (Names{"selection.bank", "selection.pcrs"}));
}

TEST_F(SwtpmTest, RefusesAForeignMagicAndType) {
  Taken taken = take(selection({4, 9}));
  taken.quote.attest[0] ^= 1;
  EXPECT_EQ(failures(judge(taken)), (Names{"signature", "attest.magic"}));
  taken.quote.attest[0] ^= 1;
  taken.quote.attest[5] ^= 1;
  EXPECT_EQ(failures(judge(taken)), (Names{"signature", "attest.type"}));
}

TEST_F(SwtpmTest, RefusesAQuoteOfAnotherTpm) {
  const auto other = Swtpm::start().value();
  Taken taken = take(selection({4, 9}));
  Tpm tpm = Tpm::open(other->tcti()).value();
  taken.ak = tpm.create_ak().value();
  EXPECT_EQ(failures(judge(taken)), Names{"signature"});
}

TEST_F(SwtpmTest, ExtendsAsTheReplayDoesAndTheLogAccountsForIt) {
  Tpm tpm = open();
  const Bytes separator = eventlog::separator_digest(Alg::kSha256).value();
  for (const unsigned pcr : {4U, 9U}) ASSERT_TRUE(tpm.extend(pcr, Alg::kSha256, separator));
  log_ = separator_log({4, 9});
  const Taken taken = take(selection({4, 9}));
  const auto verdict = judge(taken);
  EXPECT_TRUE(verdict.verified()) << verdict.to_table();
  want_.values[9] = eventlog::extend(Alg::kSha256, Bytes(32), separator).value();
  EXPECT_THAT(failures(judge(taken)), IsEmpty());
}

TEST_F(SwtpmTest, RefusesALogThatIsCutOrLacksAnEvent) {
  Tpm tpm = open();
  const Bytes separator = eventlog::separator_digest(Alg::kSha256).value();
  for (const unsigned pcr : {4U, 9U}) ASSERT_TRUE(tpm.extend(pcr, Alg::kSha256, separator));
  const Taken taken = take(selection({4, 9}));
  const Bytes good = separator_log({4, 9});
  log_ = separator_log({4});
  EXPECT_EQ(failures(judge(taken)), Names{"event_log.pcr_9"});
  const std::size_t one = log_.size();
  for (std::size_t size = one + 1; size < good.size(); ++size) {
    log_.assign(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_EQ(failures(judge(taken)), Names{"event_log.format"}) << size;
  }
}

TEST_F(SwtpmTest, RefusesValuesReadAfterAnExtend) {
  Tpm tpm = open();
  Taken taken{.ak = tpm.create_ak().value(),
              .quote = tpm.quote(kNonce, selection({4, 9})).value(),
              .pcrs = {}};
  ASSERT_TRUE(tpm.extend(9, Alg::kSha256, Bytes(32, 1)));
  taken.pcrs = tpm.read_pcrs(selection({4, 9})).value();
  EXPECT_EQ(failures(judge(taken)), Names{"pcr_digest"});
}

TEST_F(SwtpmTest, MakesTheSameRestrictedKeyEachTime) {
  Tpm tpm = open();
  const Bytes first = tpm.create_ak().value();
  EXPECT_EQ(tpm.create_ak().value(), first);
  EXPECT_EQ(parse_attestation_key(first).value().restricted, true);
}

TEST_F(SwtpmTest, GivesBackASecretForItsTwoKeys) {
  Tpm tpm = open();
  const Bytes ek = tpm.endorsement_key().value();
  const Bytes name = object_name(tpm.create_ak().value()).value();
  const Credential credential = make_credential(ek, name, kNonce).value();
  const auto secret = tpm.activate(credential);
  ASSERT_TRUE(secret) << secret.error().to_string();
  EXPECT_EQ(to_hex(secret->view()), to_hex(kNonce));
  // Nothing is left behind in the TPM, so that it can be done any number of times.
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(tpm.activate(credential)) << i;
}

TEST_F(SwtpmTest, KeepsASecretForOtherKeys) {
  Tpm tpm = open();
  const Bytes ek = tpm.endorsement_key().value();
  const Bytes name = object_name(tpm.create_ak().value()).value();
  Bytes other_name = name;
  other_name.back() ^= 1;
  const auto denied = [&](const Credential& credential) {
    const auto secret = tpm.activate(credential);
    return !secret && secret.error().code() == Code::kPermissionDenied;
  };
  EXPECT_TRUE(denied(make_credential(ek, other_name, kNonce).value()));
  Credential bent = make_credential(ek, name, kNonce).value();
  bent.id_object.back() ^= 1;
  EXPECT_TRUE(denied(bent));
  const auto other = Swtpm::start().value();
  const Bytes other_ek = Tpm::open(other->tcti()).value().endorsement_key().value();
  EXPECT_TRUE(denied(make_credential(other_ek, name, kNonce).value()));
  bent.id_object.pop_back();
  EXPECT_EQ(tpm.activate(bent).error().code(), Code::kInvalidArgument);
}

TEST_F(SwtpmTest, MakesNoCredentialForOtherKindsOfKeys) {
  Tpm tpm = open();
  const Bytes ek = tpm.endorsement_key().value();
  const Bytes ak = tpm.create_ak().value();
  const Bytes name = object_name(ak).value();
  EXPECT_EQ(make_credential(ak, name, kNonce).error().code(), Code::kUnimplemented);
  EXPECT_EQ(make_credential(ek, name, {}).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(make_credential(ek, name, Bytes(33)).error().code(), Code::kInvalidArgument);
  EXPECT_FALSE(make_credential(BytesView(ek).first(100), name, kNonce));
  EXPECT_EQ(parse_tpm_public(ek).value().restricted, false) << "it signs nothing";
}

TEST_F(SwtpmTest, RefusesWhatItCannotAsk) {
  Tpm tpm = open();
  EXPECT_EQ(tpm.quote(kNonce, selection({4})).error().code(), Code::kFailedPrecondition);
  ASSERT_TRUE(tpm.create_ak());
  EXPECT_EQ(tpm.quote(Bytes(65), selection({4})).error().code(), Code::kInvalidArgument);
  EXPECT_TRUE(tpm.quote(Bytes(64), selection({4})));
  EXPECT_EQ(tpm.quote(kNonce, selection({24})).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(tpm.quote(kNonce, {}).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(tpm.extend(24, Alg::kSha256, Bytes(32)).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(tpm.extend(4, Alg::kSha256, Bytes(20)).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(Tpm::open("device:/nonexistent/tpm").error().code(), Code::kFailedPrecondition);
}

TEST_F(SwtpmTest, AttesterGivesAllThatAVerifierNeeds) {
  const auto log_file =
      std::filesystem::temp_directory_path() / ("coffer-log-" + std::to_string(::getpid()));
  const Bytes log = separator_log({16});
  ASSERT_TRUE(write_file(log_file, as_text(log)));
  const auto attester =
      make_attester({.tcti = swtpm_->tcti(), .event_log = log_file, .selections = {}});
  ASSERT_TRUE(attester->extend(16, eventlog::separator_digest(Alg::kSha256).value()));
  const auto evidence = attester->evidence(kNonce).value();
  std::filesystem::remove(log_file);
  EXPECT_EQ(evidence.tee, "tpm");
  const auto aux = nlohmann::json::parse(as_text(evidence.auxiliary));
  const Bytes signature = from_base64(aux["signature"].get<std::string>()).value();
  const Bytes ak = from_base64(aux["ak_public"].get<std::string>()).value();
  const Evidence parts{.attest = evidence.report,
                       .signature = signature,
                       .pcrs = parse_pcrs(aux["pcrs"].dump()).value(),
                       .event_log = evidence.manifest};
  const auto verdict = verify(parts, parse_attestation_key(ak).value(), want_);
  EXPECT_TRUE(verdict.verified()) << verdict.to_table();

  // The same through the interface that every TEE has.
  const auto verifier = make_verifier(parse_attestation_key(ak).value(), {});
  EXPECT_EQ(verifier->tee(), "tpm");
  EXPECT_THAT(failures(verifier->verify(evidence, kNonce, 0)), IsEmpty());
  EXPECT_EQ(failures(verifier->verify(evidence, Bytes(32, 9), 0)), Names{"nonce"});
  tee::Evidence cut = evidence;
  cut.auxiliary.pop_back();
  EXPECT_THAT(failures(verifier->verify(cut, kNonce, 0)),
              ::testing::IsSupersetOf({"signature", "evidence.auxiliary"}));
  // Not the key that the evidence brings, but the trusted one, counts.
  const auto other = Swtpm::start().value();
  Tpm tpm = Tpm::open(other->tcti()).value();
  const auto other_key = parse_attestation_key(tpm.create_ak().value()).value();
  EXPECT_EQ(failures(make_verifier(other_key, {})->verify(evidence, kNonce, 0)),
            Names{"signature"});
}

}  // namespace
}  // namespace coffer::tpm
