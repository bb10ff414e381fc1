#include "tee/tpm/key.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/byte_reader.h"
#include "tee/tpm/hcl.h"

namespace coffer::tpm {
namespace {

constexpr std::uint16_t kAlgRsa = 0x0001;
constexpr std::uint16_t kAlgEcc = 0x0023;
constexpr std::uint16_t kAlgNull = 0x0010;
constexpr std::uint16_t kCurveP256 = 0x0003;
constexpr std::uint16_t kCurveP384 = 0x0004;
constexpr std::uint32_t kDefaultExponent = 65537;
// TPMA_OBJECT (8.3): fixedTPM, fixedParent, sensitiveDataOrigin, restricted, sign.
constexpr std::uint32_t kAttestationAttributes =
    1U << 1U | 1U << 4U | 1U << 5U | 1U << 16U | 1U << 18U;
constexpr std::uint32_t kDecrypt = 1U << 17U;

std::unexpected<Error> bad(std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("parse attestation key: {}", why));
}

// TPMT_SYM_DEF_OBJECT: nothing for a signing key.
Status skip_symmetric(ByteReader& reader) {
  COFFER_TRY(const std::uint16_t alg, reader.u16_be());
  return alg == kAlgNull ? Status{} : reader.skip(4);
}

// TPMT_RSA_SCHEME, TPMT_ECC_SCHEME, TPMT_KDF_SCHEME.
Status skip_scheme(ByteReader& reader) {
  COFFER_TRY(const std::uint16_t alg, reader.u16_be());
  return alg == kAlgNull ? Status{} : reader.skip(2);
}

Result<BytesView> sized(ByteReader& reader) {
  COFFER_TRY(const std::uint16_t size, reader.u16_be());
  return reader.take(size);
}

Result<tee::PublicKey> read_rsa(ByteReader& reader) {
  COFFER_TRY_VOID(skip_symmetric(reader));
  COFFER_TRY_VOID(skip_scheme(reader));
  COFFER_TRY_VOID(reader.skip(2));  // keyBits
  COFFER_TRY(const std::uint32_t exponent, reader.u32_be());
  COFFER_TRY(const BytesView modulus, sized(reader));
  return tee::PublicKey::from_rsa(modulus, exponent == 0 ? kDefaultExponent : exponent);
}

Result<tee::PublicKey> read_ecc(ByteReader& reader) {
  COFFER_TRY_VOID(skip_symmetric(reader));
  COFFER_TRY_VOID(skip_scheme(reader));
  COFFER_TRY(const std::uint16_t curve, reader.u16_be());
  COFFER_TRY_VOID(skip_scheme(reader));
  COFFER_TRY(const BytesView x, sized(reader));
  COFFER_TRY(const BytesView y, sized(reader));
  if (curve != kCurveP256 && curve != kCurveP384) {
    return bad(fmt::format("curve {:#x}: want P-256 or P-384", curve));
  }
  const auto kind = curve == kCurveP256 ? tee::Curve::kP256 : tee::Curve::kP384;
  const auto pad = [&](BytesView coordinate) {
    const std::size_t size = tee::curve_size(kind);
    Bytes out(size > coordinate.size() ? size - coordinate.size() : 0);
    out.insert(out.end(), coordinate.begin(), coordinate.end());
    return out;
  };
  return tee::PublicKey::from_ec_point(kind, pad(x), pad(y));
}

// The bytes of a PEM "PUBLIC KEY"; nothing when it is no PEM.
std::optional<Result<Bytes>> read_pem(std::string_view text) {
  constexpr std::string_view kBegin = "-----BEGIN PUBLIC KEY-----";
  constexpr std::string_view kEnd = "-----END PUBLIC KEY-----";
  const auto begin = text.find(kBegin);
  if (begin == std::string_view::npos) return std::nullopt;
  const auto end = text.find(kEnd, begin);
  if (end == std::string_view::npos) return Result<Bytes>(bad("PEM without an end"));
  std::string body(text.substr(begin + kBegin.size(), end - begin - kBegin.size()));
  std::erase_if(body, [](char c) { return c == '\n' || c == '\r' || c == ' '; });
  return from_base64(body);
}

}  // namespace

Result<AttestationKey> parse_tpm_public(BytesView bytes) {
  ByteReader reader(bytes, "TPM public area");
  COFFER_TRY(std::uint16_t first, reader.u16_be());
  if (first == bytes.size() - 2) {  // TPM2B_PUBLIC: its size, then TPMT_PUBLIC
    COFFER_TRY(first, reader.u16_be());
  }
  if (first != kAlgRsa && first != kAlgEcc) return bad("neither RSA nor ECC");
  COFFER_TRY_VOID(reader.skip(2));  // nameAlg
  COFFER_TRY(const std::uint32_t attributes, reader.u32_be());
  COFFER_TRY_VOID(sized(reader));  // authPolicy
  COFFER_TRY(tee::PublicKey key, first == kAlgRsa ? read_rsa(reader) : read_ecc(reader));
  COFFER_TRY_VOID(reader.expect_end());
  const bool restricted = (attributes & kAttestationAttributes) == kAttestationAttributes &&
                          (attributes & kDecrypt) == 0;
  return AttestationKey{.key = std::move(key), .restricted = restricted};
}

Result<AttestationKey> parse_attestation_key(BytesView bytes) {
  if (looks_like_hcl(bytes)) {
    COFFER_TRY(HclReport hcl, parse_hcl(bytes));
    return AttestationKey{.key = std::move(hcl.attestation_key),
                          .restricted = {},
                          .bound_digest = std::move(hcl.runtime_digest)};
  }
  if (auto pem = read_pem(as_text(bytes))) {
    COFFER_TRY(const Bytes der, *std::move(pem));
    COFFER_TRY(tee::PublicKey key, tee::PublicKey::from_spki(der));
    return AttestationKey{.key = std::move(key), .restricted = {}};
  }
  constexpr std::uint8_t kDerSequence = 0x30;
  if (!bytes.empty() && bytes[0] == kDerSequence) {
    COFFER_TRY(tee::PublicKey key, tee::PublicKey::from_spki(bytes));
    return AttestationKey{.key = std::move(key), .restricted = {}};
  }
  return parse_tpm_public(bytes);
}

}  // namespace coffer::tpm
