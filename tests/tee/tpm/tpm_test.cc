// TPM quotes: the real vectors, and each way in which one can be wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tee/eventlog/boot_events.h"
#include "tee/private_key.h"
#include "tee/tpm/verify.h"
#include "tests/tee/tdx/vectors.h"

namespace coffer::tpm {
namespace {

using eventlog::Alg;
using tdx::index_entries;
using tdx::vector_bytes;
using tdx::vector_text;
using tdx::vectors_dir;

void put(Bytes& out, std::uint64_t value, unsigned size) {
  for (unsigned i = size; i-- > 0;) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

void put_sized(Bytes& out, BytesView bytes) {
  put(out, bytes.size(), 2);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

struct QuoteSpec {
  std::uint32_t magic = kGeneratedMagic;
  std::uint16_t type = kAttestQuote;
  Bytes nonce = {1, 2, 3, 4};
  std::uint16_t bank = 0x000b;
  std::uint32_t bitmap = 0x000210;  // PCR 4 and 9
  Bytes digest;
};

Bytes make_attest(const QuoteSpec& spec) {
  Bytes out;
  put(out, spec.magic, 4);
  put(out, spec.type, 2);
  put_sized(out, Bytes(34, 0x0b));
  put_sized(out, spec.nonce);
  put(out, 1000, 8);
  put(out, 1, 4);
  put(out, 0, 4);
  put(out, 1, 1);
  put(out, 7, 8);
  put(out, 1, 4);
  put(out, spec.bank, 2);
  put(out, 3, 1);
  for (unsigned i = 0; i < 3; ++i) put(out, spec.bitmap >> (8 * i) & 0xffU, 1);
  put_sized(out, spec.digest);
  return out;
}

class TpmTest : public ::testing::Test {
 protected:
  TpmTest() : key_(tee::PrivateKey::generate_ec(tee::Curve::kP256).value()) {
    Bytes all;
    for (const unsigned pcr : {4U, 9U}) {
      pcrs_[Alg::kSha256][pcr] = Bytes(32, static_cast<std::uint8_t>(pcr));
      all.insert(all.end(), 32, static_cast<std::uint8_t>(pcr));
    }
    spec_.digest = eventlog::hash(Alg::kSha256, all).value();
    want_.nonce = spec_.nonce;
    want_.required_pcrs = {4, 9};
  }

  // TPMT_SIGNATURE of ECDSA with SHA-256.
  [[nodiscard]] Bytes sign(BytesView attest, std::uint16_t hash = 0x000b) const {
    const auto signature = key_.sign_ecdsa(tee::HashAlgorithm::kSha256, attest).value();
    Bytes out;
    put(out, 0x0018, 2);
    put(out, hash, 2);
    put_sized(out, signature.r);
    put_sized(out, signature.s);
    return out;
  }
  [[nodiscard]] tee::Verdict judge_bytes(const Bytes& attest, const Bytes& signature) const {
    Evidence evidence{.attest = attest, .signature = signature, .pcrs = pcrs_, .event_log = {}};
    if (!log_.empty()) evidence.event_log = log_;
    return verify(evidence, {.key = key_.public_key(), .restricted = true}, want_);
  }
  [[nodiscard]] tee::Verdict judge() const {
    const Bytes attest = make_attest(spec_);
    return judge_bytes(attest, sign(attest));
  }
  static std::vector<std::string> failures(const tee::Verdict& verdict) {
    std::vector<std::string> names;
    for (const auto& check : verdict.failed()) names.push_back(check.name);
    return names;
  }
  using Names = std::vector<std::string>;

  tee::PrivateKey key_;
  QuoteSpec spec_;
  PcrBanks pcrs_;
  Expectations want_;
  Bytes log_;
};

TEST_F(TpmTest, AcceptsAGoodQuote) {
  const auto verdict = judge();
  EXPECT_TRUE(verdict.verified()) << verdict.to_table();
}

TEST_F(TpmTest, RefusesAWrongNonce) {
  want_.nonce->back() ^= 1;
  EXPECT_EQ(failures(judge()), Names{"nonce"});
  want_.nonce->pop_back();
  EXPECT_EQ(failures(judge()), Names{"nonce"});
}

TEST_F(TpmTest, RefusesASelectionThatLacksAPcr) {
  want_.required_pcrs = {4, 7, 9};
  EXPECT_EQ(failures(judge()), Names{"selection.pcrs"});
  want_.required_pcrs.clear();
  want_.values[7] = Bytes(32);
  EXPECT_EQ(failures(judge()), (Names{"selection.pcrs", "expect.pcr_7"}));
}

TEST_F(TpmTest, RefusesAnUnselectedBank) {
  want_.bank = Alg::kSha384;
  EXPECT_EQ(failures(judge()), (Names{"selection.bank", "selection.pcrs"}));
}

TEST_F(TpmTest, RefusesAQuoteOfSha1Only) {
  spec_.bank = 0x0004;
  EXPECT_EQ(failures(judge()), (Names{"selection.bank", "selection.pcrs", "pcr_digest"}));
}

TEST_F(TpmTest, RefusesAWrongMagic) {
  spec_.magic ^= 1;
  EXPECT_EQ(failures(judge()), Names{"attest.magic"});
}

TEST_F(TpmTest, RefusesAnotherTypeOfAttestation) {
  spec_.type = 0x8017;  // TPM_ST_ATTEST_CERTIFY
  EXPECT_EQ(failures(judge()), Names{"attest.type"});
}

TEST_F(TpmTest, RefusesAQuoteOfAnotherKey) {
  const Bytes attest = make_attest(spec_);
  const Bytes signature = sign(attest);
  key_ = tee::PrivateKey::generate_ec(tee::Curve::kP256).value();
  EXPECT_EQ(failures(judge_bytes(attest, signature)), Names{"signature"});
}

TEST_F(TpmTest, RefusesEveryFlippedByte) {
  const Bytes good = make_attest(spec_);
  const Bytes signature = sign(good);
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] ^= 1;
    const auto names = failures(judge_bytes(bad, signature));
    EXPECT_NE(std::ranges::find(names, "signature"), names.end()) << i;
  }
}

TEST_F(TpmTest, RefusesASignatureWithAnotherHash) {
  const Bytes attest = make_attest(spec_);
  EXPECT_EQ(failures(judge_bytes(attest, sign(attest, 0x0004))), Names{"signature"});
  EXPECT_EQ(failures(judge_bytes(attest, sign(attest, 0x000c))), Names{"signature"});
  EXPECT_EQ(failures(judge_bytes(attest, {})), Names{"signature"});
}

TEST_F(TpmTest, RefusesPcrValuesThatWereNotQuoted) {
  pcrs_[Alg::kSha256][4][0] ^= 1;
  EXPECT_EQ(failures(judge()), Names{"pcr_digest"});
  pcrs_[Alg::kSha256].erase(4);
  EXPECT_EQ(failures(judge()), Names{"pcr_digest"});
}

TEST_F(TpmTest, NamesThePcrThatIsNotAsExpected) {
  want_.values[9] = Bytes(32, 9);
  EXPECT_TRUE(judge().verified());
  want_.values[9].back() ^= 1;
  EXPECT_EQ(failures(judge()), Names{"expect.pcr_9"});
}

TEST_F(TpmTest, RefusesTruncationTrailingBytesAndLengthsThatLie) {
  const Bytes good = make_attest(spec_);
  for (std::size_t size = 6; size < good.size(); ++size) {
    EXPECT_FALSE(parse_attest(BytesView(good).first(size))) << size;
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_FALSE(parse_attest(longer));
  for (const std::size_t at : {6U, 7U, 42U, 43U}) {
    Bytes bad = good;
    bad[at] ^= 0x80;
    EXPECT_FALSE(parse_attest(bad)) << at;
  }
}

TEST_F(TpmTest, RefusesAKeyThatMaySignAnything) {
  const Bytes attest = make_attest(spec_);
  const Bytes signature = sign(attest);
  const Evidence evidence{.attest = attest, .signature = signature, .pcrs = pcrs_, .event_log = {}};
  const auto verdict = verify(evidence, {.key = key_.public_key(), .restricted = false}, want_);
  EXPECT_EQ(failures(verdict), Names{"ak.restricted"});
}

TEST_F(TpmTest, RefusesALogThatDoesNotReplayOrIsCut) {
  // SHA-256 only: a separator into PCR 4.
  Bytes log = to_bytes(std::string_view("\0\0\0\0\3\0\0\0", 8));
  log.resize(28);
  const Bytes spec = to_bytes(
      std::string_view("\x21\0\0\0Spec ID Event03\0\0\0\0\0\0\2\0\2\1\0\0\0\x0b\0\x20\0\0", 37));
  log.insert(log.end(), spec.begin(), spec.end());
  const Bytes head = to_bytes(std::string_view("\4\0\0\0\4\0\0\0\1\0\0\0\x0b\0", 14));
  log.insert(log.end(), head.begin(), head.end());
  const Bytes digest = eventlog::separator_digest(Alg::kSha256).value();
  log.insert(log.end(), digest.begin(), digest.end());
  const Bytes tail = to_bytes(std::string_view("\4\0\0\0\0\0\0\0", 8));
  log.insert(log.end(), tail.begin(), tail.end());
  log_ = log;
  EXPECT_EQ(failures(judge()), (Names{"event_log.pcr_4", "event_log.pcr_9"}));
  log_.resize(log.size() - 3);
  EXPECT_EQ(failures(judge()), Names{"event_log.format"});
}

// The real quotes, with the key in each of its forms.
TEST(TpmVectors, PlainQuoteVerifies) {
  COFFER_NEED_VECTORS();
  const Bytes attest = vector_bytes("vtpm/plain_tpm_attest.bin");
  const Bytes signature = vector_bytes("vtpm/plain_tpm_sig_tpmt.bin");
  const auto ak = parse_attestation_key(vector_bytes("vtpm/plain_ak_spki.der")).value();
  Expectations want;
  for (unsigned pcr = 0; pcr < kPcrCount; ++pcr) want.required_pcrs.insert(pcr);
  for (const auto& entry : index_entries("tpm-quote")) {
    if (entry["file"] != "vtpm/plain_tpm_attest.bin") continue;
    const auto& parsed = entry["parsed"];
    want.nonce = from_hex(parsed["extra"].get<std::string>()).value();
    const auto quote = parse_attest(attest).value();
    EXPECT_EQ(to_hex(quote.qualified_signer), parsed["name"].get<std::string>());
    EXPECT_EQ(quote.clock, parsed["clock"]);
    EXPECT_EQ(to_hex(quote.pcr_digest), parsed["digest"].get<std::string>());
  }
  const Evidence evidence{.attest = attest,
                          .signature = signature,
                          .pcrs = parse_pcrs(vector_text("vtpm/plain_pcrs.json")).value(),
                          .event_log = {}};
  const auto verdict = verify(evidence, ak, want);
  EXPECT_TRUE(verdict.verified()) << verdict.to_table();
}

// Its key is in the HCL blob; without it, digest and selection still tell.
TEST(TpmVectors, AzureQuoteFailsOnlyBySignatureWithAForeignKey) {
  COFFER_NEED_VECTORS();
  const Bytes attest = vector_bytes("azure-vtpm/azure_td_tpm_attest.bin");
  const Bytes signature = vector_bytes("azure-vtpm/azure_td_tpm_sig.bin");
  const auto foreign = parse_attestation_key(vector_bytes("vtpm/plain_ak_spki.der")).value();
  const Evidence evidence{.attest = attest,
                          .signature = signature,
                          .pcrs = parse_pcrs(vector_text("azure-vtpm/azure_td_pcrs.json")).value(),
                          .event_log = {}};
  Expectations want;
  want.nonce = to_bytes("challenge");
  const auto failed = verify(evidence, foreign, want).failed();
  ASSERT_EQ(failed.size(), 1U);
  EXPECT_EQ(failed.front().name, "signature");
}

TEST(TpmPolicy, RefusesUnknownKeysAndWrongForms) {
  Expectations want;
  EXPECT_TRUE(apply_policy(R"({"expect_pcrs":{"4":")" + std::string(96, 'a') +
                               R"("},"bank":"sha384","required_pcrs":[9],"expect_nonce":"00"})",
                           want));
  EXPECT_EQ(want.values.at(4).size(), 48U);
  for (const char* bad :
       {R"({"nonce":"00"})", R"({"bank":"md5"})", R"({"required_pcrs":[24]})",
        R"({"expect_pcrs":{"4":"00"}})", R"({"expect_pcrs":{"24":"00"}})", "[]"}) {
    Expectations fresh;
    EXPECT_FALSE(apply_policy(bad, fresh)) << bad;
  }
}

}  // namespace
}  // namespace coffer::tpm
