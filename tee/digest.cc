#include "tee/digest.h"

#include <openssl/evp.h>

#include <array>

#include "base/error.h"
#include "base/openssl.h"

namespace coffer::tee {
namespace {

const char* openssl_name(HashAlgorithm algorithm) {
  switch (algorithm) {
    case HashAlgorithm::kSha1:
      return "SHA1";
    case HashAlgorithm::kSha256:
      return "SHA2-256";
    case HashAlgorithm::kSha384:
      return "SHA2-384";
    case HashAlgorithm::kSha512:
      return "SHA2-512";
  }
  return "";
}

// Looked up once: for a short message the lookup takes longer than the hash. Never written to.
const EVP_MD* fetched(HashAlgorithm algorithm) {
  const auto fetch = [](HashAlgorithm wanted) {
    return openssl::Ptr<EVP_MD, EVP_MD_free>(EVP_MD_fetch(nullptr, openssl_name(wanted), nullptr));
  };
  static const std::array kHashes{fetch(HashAlgorithm::kSha1), fetch(HashAlgorithm::kSha256),
                                  fetch(HashAlgorithm::kSha384), fetch(HashAlgorithm::kSha512)};
  return kHashes.at(static_cast<std::size_t>(algorithm)).get();
}

}  // namespace

std::size_t digest_size(HashAlgorithm algorithm) {
  switch (algorithm) {
    case HashAlgorithm::kSha1:
      return 20;
    case HashAlgorithm::kSha256:
      return 32;
    case HashAlgorithm::kSha384:
      return 48;
    case HashAlgorithm::kSha512:
      return 64;
  }
  return 0;
}

struct Hasher::State {
  const EVP_MD* md = nullptr;
  openssl::MdContext context;
  std::size_t size = 0;
};

Hasher::Hasher(HashAlgorithm algorithm) : state_(std::make_unique<State>()) {
  state_->md = fetched(algorithm);
  state_->context.reset(EVP_MD_CTX_new());
  state_->size = digest_size(algorithm);
  // The default provider always has these hashes; without it nothing can be verified at all.
  check(state_->md != nullptr && state_->context &&
            EVP_DigestInit_ex2(state_->context.get(), state_->md, nullptr) == 1,
        "OpenSSL offers no SHA-2");
}
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

Hasher& Hasher::update(BytesView bytes) {
  check(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1, "hash update");
  return *this;
}

void Hasher::finish(std::span<std::uint8_t> out) {
  check(out.size() >= state_->size, "hash output too small");
  check(EVP_DigestFinal_ex(state_->context.get(), out.data(), nullptr) == 1 &&
            EVP_DigestInit_ex2(state_->context.get(), state_->md, nullptr) == 1,
        "hash finish");
}

Bytes Hasher::finish() {
  Bytes out(state_->size);
  finish(out);
  return out;
}

Digest256 sha256(BytesView bytes) {
  Digest256 out{};
  Hasher(HashAlgorithm::kSha256).update(bytes).finish(out);
  return out;
}
Digest384 sha384(BytesView bytes) {
  Digest384 out{};
  Hasher(HashAlgorithm::kSha384).update(bytes).finish(out);
  return out;
}
Digest512 sha512(BytesView bytes) {
  Digest512 out{};
  Hasher(HashAlgorithm::kSha512).update(bytes).finish(out);
  return out;
}
Bytes hash(HashAlgorithm algorithm, BytesView bytes) {
  return Hasher(algorithm).update(bytes).finish();
}

}  // namespace coffer::tee
