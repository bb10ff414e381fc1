// Chains that other verifiers have taken, or would have: each has its test here, named for it.
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <memory>

#include "tee/emulator/der_writer.h"
#include "tests/tee/sev-snp/fake_machine.h"

namespace coffer::snp {
namespace {

using emulator::der;
using emulator::der_integer;
using emulator::der_oid;
using emulator::der_sequence;

Bytes good() { return *amd().sign(amd().report()); }

// A machine of the same names and times, with keys of its own: what a host can make.
const emulator::FakeAmd& impostor() {
  static const emulator::FakeAmd machine = *emulator::FakeAmd::make(amd().spec());
  return machine;
}

TEST(Mistakes, AHostsOwnChainWithAmdsNamesIsRefused) {
  const Bytes report = *impostor().sign(impostor().report());
  TrustMaterial trust{
      .certificates = {certificate(impostor().vcek()), certificate(impostor().ask()),
                       certificate(impostor().ark())},
      .crls = {},
      .trusted_roots = {certificate(amd().ark())}};
  EXPECT_EQ(failures(judge(report, trust)),
            (Names{"chain.intermediate_signature", "chain.supplied_root"}));
  trust.certificates.pop_back();
  EXPECT_EQ(failures(judge(report, trust)), Names{"chain.intermediate_signature"});
}

TEST(Mistakes, AnIntermediateThatSignedItselfIsRefused) {
  auto spec = amd().ask_spec();
  TrustMaterial trust = material();
  trust.certificates[1] = certificate(*emulator::make_snp_certificate(
      spec, amd().intermediate_key().public_key(), spec, amd().intermediate_key()));
  const auto names = failures(judge(good(), trust));
  EXPECT_TRUE(names.contains("chain.intermediate_signature") || names.contains("chain.root"));
  // Under the root's name it is no better.
  trust.certificates[1] = certificate(*emulator::make_snp_certificate(
      spec, amd().intermediate_key().public_key(), amd().ark_spec(), amd().intermediate_key()));
  EXPECT_EQ(failures(judge(good(), trust)), Names{"chain.intermediate_signature"});
}

TEST(Mistakes, ARootConfiguredAsTheChainsOwnIntermediateIsNoRoot) {
  // Trust in an ASK alone would skip the root and its revocation list.
  TrustMaterial trust = material();
  trust.trusted_roots = {certificate(amd().ask())};
  EXPECT_FALSE(judge(good(), trust).verified());
}

// PSS with SHA-256 throughout: properly signed, and weaker than AMD's.
Bytes pss_sha256_algorithm() {
  const Bytes null = der(tee::DerTag::kNull, {});
  const Bytes hash = der_sequence({der_oid("2.16.840.1.101.3.4.2.1"), null});
  const Bytes mask = der_sequence({der_oid("1.2.840.113549.1.1.8"), hash});
  return der_sequence(
      {der_oid("1.2.840.113549.1.1.10"),
       der_sequence({der(0xA0, hash), der(0xA1, mask), der(0xA2, der_integer(32))})});
}

Bytes pss_sha256_sign(const tee::PrivateKey& key, BytesView message) {
  const std::string pem = *key.to_pem();
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> native(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  EVP_PKEY_CTX* options = nullptr;
  EXPECT_EQ(EVP_DigestSignInit(context.get(), &options, EVP_sha256(), nullptr, native.get()), 1);
  EXPECT_GT(EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING), 0);
  EXPECT_GT(EVP_PKEY_CTX_set_rsa_pss_saltlen(options, 32), 0);
  std::size_t size = 0;
  EXPECT_EQ(EVP_DigestSign(context.get(), nullptr, &size, message.data(), message.size()), 1);
  Bytes out(size);
  EXPECT_EQ(EVP_DigestSign(context.get(), out.data(), &size, message.data(), message.size()), 1);
  return out;
}

// `bytes` with the one occurrence of `from` replaced by `to`; the enclosing lengths do not change.
Bytes replaced(const Bytes& bytes, const Bytes& from, const Bytes& to) {
  const auto at = std::ranges::search(bytes, from);
  EXPECT_FALSE(at.empty());
  Bytes out(bytes.begin(), at.begin());
  out.insert(out.end(), to.begin(), to.end());
  out.insert(out.end(), at.end(), bytes.end());
  return out;
}

TEST(Mistakes, ALeafSignedWithPssAndSha256IsRefused) {
  const Bytes vcek = amd().vcek();
  // SEQUENCE { body, algorithm, signature }: the headers of the first two are of four octets.
  const std::size_t body_size = 4 + ((std::size_t{vcek[6]} << 8U) | vcek[7]);
  const Bytes body(vcek.begin() + 4, vcek.begin() + 4 + static_cast<std::ptrdiff_t>(body_size));
  const std::size_t algorithm_at = 4 + body_size;
  const std::size_t algorithm_size = 2 + std::size_t{vcek[algorithm_at + 1]};
  const Bytes sha384(vcek.begin() + static_cast<std::ptrdiff_t>(algorithm_at),
                     vcek.begin() + static_cast<std::ptrdiff_t>(algorithm_at + algorithm_size));
  const Bytes sha256 = pss_sha256_algorithm();
  ASSERT_EQ(sha256.size(), sha384.size());
  const Bytes weaker = replaced(body, sha384, sha256);
  TrustMaterial trust = material();
  trust.certificates[0] = certificate(
      der_sequence({weaker, sha256,
                    emulator::der_bit_string(pss_sha256_sign(amd().intermediate_key(), weaker))}));
  EXPECT_EQ(failures(judge(good(), trust)),
            (Names{"chain.leaf_algorithm", "chain.leaf_signature"}));
}

TEST(Mistakes, TheAlgorithmOutsideTheBodyMustBeTheOneInside) {
  const Bytes vcek = amd().vcek();
  Bytes mixed = vcek;
  // The outer salt length, the last octet before the signature's BIT STRING.
  const std::size_t body_size = 4 + ((std::size_t{vcek[6]} << 8U) | vcek[7]);
  const std::size_t outer_end = 4 + body_size + 2 + vcek[4 + body_size + 1];
  ASSERT_EQ(mixed[outer_end - 1], 48);
  mixed[outer_end - 1] = 32;
  EXPECT_FALSE(tee::Certificate::from_der(mixed));
}

TEST(Mistakes, ARevokedAsvkIsRefusedAsARevokedAskIs) {
  Report report = amd().report();
  report.key_info.raw = 4;
  report.chip_id.fill(0);
  TrustMaterial trust = material(LeafKind::kVlek);
  trust.crls = {*tee::Crl::from_der(
      *amd().crl({.this_update = kNow - 1, .next_update = kNow + 1, .revoked = {0x10101}}))};
  EXPECT_EQ(failures(judge(*amd().sign(report), trust)), Names{"chain.crl_revocation"});
}

TEST(Mistakes, ARevocationListThatTheRootDidNotSignIsRefused) {
  TrustMaterial trust = material();
  trust.crls = {
      *tee::Crl::from_der(*impostor().crl({.this_update = kNow - 1, .next_update = kNow + 1}))};
  EXPECT_EQ(failures(judge(good(), trust, {.require_crl = true})), Names{"chain.crl_signature"});
}

TEST(Mistakes, AReportOfAnotherMachineUnderTheSameRootIsRefused) {
  // The chip is in the leaf: a genuine report does not go with a genuine leaf of another chip.
  const auto trust =
      with_leaf(LeafKind::kVcek, [](auto& spec, auto&) { extension(spec, "4").value[0] ^= 1U; });
  EXPECT_EQ(failures(judge(good(), trust)), Names{"chip_id.certificate"});
}

TEST(Mistakes, TheTailOfATurinChipIdIsZero) {
  const emulator::FakeAmdSpec spec{
      .not_before = kNow - kDay,
      .not_after = kNow + kDay,
      .platform = {.product = Product::kTurin,
                   .tcb = {.fmc = 1, .boot_loader = 1, .tee = 1, .snp = 4, .microcode = 80},
                   .chip_id = Bytes(8, 0x77)}};
  const auto turin = *emulator::FakeAmd::make(spec);
  const TrustMaterial trust{.certificates = {certificate(turin.vcek()), certificate(turin.ask())},
                            .crls = {},
                            .trusted_roots = {certificate(turin.ark())}};
  Report report = turin.report();
  EXPECT_TRUE(judge(*turin.sign(report), trust).verified())
      << judge(*turin.sign(report), trust).to_table();
  report.chip_id[8] = 1;
  EXPECT_EQ(failures(judge(*turin.sign(report), trust)), Names{"chip_id.certificate"});
}

TEST(Mistakes, InputsOfNothingAndOfTooMuchAreRefusedNotRead) {
  const TrustMaterial trust = material();
  EXPECT_FALSE(judge(Bytes{}, trust).verified());
  EXPECT_FALSE(judge(Bytes(kReportSize), trust).verified());
  EXPECT_FALSE(judge(Bytes(std::size_t{64} << 20U), trust).verified());
}

}  // namespace
}  // namespace coffer::snp
