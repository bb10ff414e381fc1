#include "base/http/pin.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <array>
#include <memory>

#include "base/bytes.h"
#include "base/openssl.h"

namespace coffer::http {
namespace {

using openssl::Bio;
using openssl::Certificate;
using Key = openssl::Pkey;

constexpr std::size_t kDigestBytes = 32;
constexpr std::size_t kMaxPem = std::size_t{1} << 20U;

// An empty answer instead of a prompt on the terminal.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*user*/) { return 0; }

Key key_of(std::string_view pem) {
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!bio) return nullptr;
  if (pem.find("BEGIN CERTIFICATE") == std::string_view::npos) {
    return Key(PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr));
  }
  const Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
  return certificate ? Key(X509_get_pubkey(certificate.get())) : nullptr;
}

Result<std::string> pin_of_pem(std::string_view pem) {
  const Key key = pem.size() > kMaxPem ? nullptr : key_of(pem);
  unsigned char* der = nullptr;
  const int size = key ? i2d_PUBKEY(key.get(), &der) : 0;
  ERR_clear_error();
  if (size <= 0) {
    return fail(Code::kInvalidArgument, "read TLS pin: no certificate or public key in the PEM");
  }
  std::array<std::uint8_t, kDigestBytes> digest{};
  const int hashed = EVP_Digest(der, static_cast<std::size_t>(size), digest.data(), nullptr,
                                EVP_sha256(), nullptr);
  OPENSSL_free(der);
  if (hashed != 1) return fail(Code::kInternal, "read TLS pin: OpenSSL failed");
  return to_base64(digest);
}

}  // namespace

Result<std::string> parse_pin(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  if (text.find("-----BEGIN") != std::string_view::npos) return pin_of_pem(text);
  std::string_view digits = text;
  for (const std::string_view prefix : {"sha256//", "sha256:"}) {
    if (digits.starts_with(prefix)) digits.remove_prefix(prefix.size());
  }
  if (const auto hex = from_hex(digits); hex && hex->size() == kDigestBytes) return to_base64(*hex);
  const auto base64 = from_base64(digits);
  if (base64 && base64->size() == kDigestBytes) return to_base64(*base64);
  return fail(Code::kInvalidArgument,
              "read TLS pin: want a PEM certificate or public key, sha256//BASE64 or sha256:HEX");
}

}  // namespace coffer::http
