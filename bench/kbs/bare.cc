#include "bench/kbs/bare.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <time.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "base/openssl.h"
#include "tee/sev-snp/report.h"
#include "tee/tdx/quote.h"
#include "tee/x509.h"
#include "tee/x509_bundle.h"

namespace coffer::bench {
namespace {

constexpr int kRepetitions = 25;
constexpr int kInner = 20;
constexpr std::size_t kCoordinate = 32;

using Key = openssl::Pkey;
using KeyContext = openssl::PkeyContext;
using Digest = openssl::MdContext;

double thread_cpu() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

// Microseconds of one call, of the best repetition: whatever else the machine does only adds.
template <typename Work>
double best(Work work) {
  double least = std::numeric_limits<double>::max();
  for (int i = 0; i < kRepetitions; ++i) {
    const double start = thread_cpu();
    for (int n = 0; n < kInner; ++n) check(work(), "a bare operation fails");
    least = std::min(least, (thread_cpu() - start) / kInner);
  }
  return least;
}

bool agree(EVP_PKEY* ours, EVP_PKEY* theirs) {
  const KeyContext context(EVP_PKEY_CTX_new(ours, nullptr));
  unsigned char secret[64];
  std::size_t size = sizeof secret;
  return EVP_PKEY_derive_init(context.get()) == 1 &&
         EVP_PKEY_derive_set_peer_ex(context.get(), theirs, 0) == 1 &&
         EVP_PKEY_derive(context.get(), secret, &size) == 1;
}

// A fresh key and an agreement, as each side of an ephemeral exchange does it.
double exchange(const char* type, const char* group) {
  const auto make = [&] {
    return Key(group == nullptr ? EVP_PKEY_Q_keygen(nullptr, nullptr, type)
                                : EVP_PKEY_Q_keygen(nullptr, nullptr, type, group));
  };
  const Key peer = make();
  return best([&] { return agree(make().get(), peer.get()); });
}

struct SignatureCosts {
  double sign = 0, verify = 0;
};

SignatureCosts ecdsa_p256() {
  const Key key(EVP_EC_gen("P-256"));
  const Bytes message(512, 0x5a);
  Bytes signature(static_cast<std::size_t>(EVP_PKEY_get_size(key.get())));
  const Digest context(EVP_MD_CTX_new());
  std::size_t size = 0;
  SignatureCosts out;
  out.sign = best([&] {
    size = signature.size();
    return EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) == 1 &&
           EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) ==
               1;
  });
  out.verify = best([&] {
    return EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) == 1 &&
           EVP_DigestVerify(context.get(), signature.data(), size, message.data(),
                            message.size()) == 1;
  });
  return out;
}

Result<double> snp_report(const emulator::FakeAmd& amd) {
  COFFER_TRY(const Bytes bytes, amd.sign(amd.report()));
  COFFER_TRY(const auto report, snp::parse_report(bytes));
  COFFER_TRY(const auto vcek, tee::Certificate::from_der(amd.vcek()));
  auto r = report.signature_r;
  auto s = report.signature_s;
  std::ranges::reverse(r);
  std::ranges::reverse(s);
  return best([&] {
    return vcek.public_key().verify_ecdsa(tee::HashAlgorithm::kSha384,
                                          BytesView(bytes).first(snp::kSignedSize), r, s);
  });
}

Result<double> tdx_quote(const emulator::FakeIntel& intel) {
  COFFER_TRY(const Bytes bytes, intel.quote(intel.quote_spec()));
  COFFER_TRY(const auto quote, tdx::parse_quote(bytes));
  COFFER_TRY(const auto bundle, tee::parse_x509_bundle(as_bytes(intel.pck_chain_pem()), "chain"));
  const auto& chain = bundle.certificates;
  COFFER_TRY(
      const auto attestation,
      tee::PublicKey::from_ec_point(tee::Curve::kP256, quote.attestation_key.first(kCoordinate),
                                    quote.attestation_key.last(kCoordinate)));
  const auto valid = [](const tee::PublicKey& key, BytesView message, BytesView signature) {
    return key.verify_ecdsa(tee::HashAlgorithm::kSha256, message, signature.first(kCoordinate),
                            signature.last(kCoordinate));
  };
  return best([&] {
    return chain[0].signature_by(chain[1].public_key()) &&
           valid(chain[0].public_key(), quote.qe_report, quote.qe_report_signature) &&
           valid(attestation, quote.signed_bytes, quote.signature);
  });
}

}  // namespace

Result<BareCosts> measure_bare(const Vendors& vendors) {
  const SignatureCosts p256 = ecdsa_p256();
  BareCosts out;
  out.tls = exchange("X25519", nullptr) + p256.sign;
  COFFER_TRY(out.snp, snp_report(vendors.amd()));
  COFFER_TRY(out.tdx, tdx_quote(vendors.intel()));
  out.sign_token = p256.sign;
  out.verify_token = p256.verify;
  out.encrypt_reply = exchange("EC", "P-256");
  return out;
}

}  // namespace coffer::bench
