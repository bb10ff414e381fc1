#include "tee/sev-snp/id_block.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/byte_reader.h"
#include "tee/digest.h"

namespace coffer::snp {
namespace {

constexpr std::string_view kSource = "SEV-SNP ABI 56860 tables 75 and 76";
constexpr std::uint32_t kEcdsaP384Sha384 = 1;
constexpr std::uint32_t kCurveP384 = 2;
constexpr std::size_t kFieldSize = 72;
constexpr std::size_t kSignatureSize = 512;
constexpr std::size_t kScalarSize = 48;
// Table 76.
constexpr std::size_t kIdKeyAlgo = 0x000, kAuthorKeyAlgo = 0x004, kReserved008 = 0x008,
                      kIdBlockSig = 0x040, kIdKey = 0x240, kReserved644 = 0x644, kIdKeySig = 0x680,
                      kAuthorKey = 0x880, kReservedC84 = 0xC84;

template <std::size_t N>
void put(Octets<N>& out, std::size_t at, BytesView bytes) {
  std::ranges::copy(bytes, out.begin() + static_cast<std::ptrdiff_t>(at));
}

template <std::size_t N>
void put_le(Octets<N>& out, std::size_t at, std::uint64_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) out[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
}

// A big-endian scalar into its 72 little-endian octets.
template <std::size_t N>
void put_scalar(Octets<N>& out, std::size_t at, BytesView big_endian) {
  std::ranges::reverse_copy(big_endian, out.begin() + static_cast<std::ptrdiff_t>(at));
}

Bytes scalar(BytesView little_endian) {
  Bytes out(little_endian.begin(), little_endian.end());
  std::ranges::reverse(out);
  return out;
}

bool is_zero(BytesView bytes) {
  return std::ranges::all_of(bytes, [](std::uint8_t b) { return b == 0; });
}

std::uint32_t u32(BytesView bytes, std::size_t at) {
  return ByteReader(bytes.subspan(at, 4), "ID auth").u32_le().value_or(0);
}

Status sign_into(Octets<kIdAuthSize>& out, std::size_t at, const tee::PrivateKey& key,
                 BytesView message) {
  COFFER_TRY(const tee::EcdsaSignature signature,
             key.sign_ecdsa(tee::HashAlgorithm::kSha384, message));
  put_scalar(out, at, signature.r);
  put_scalar(out, at + kFieldSize, signature.s);
  return {};
}

// The key in a public key structure, which must be zero wherever nothing is defined.
Result<tee::PublicKey> read_key(BytesView bytes) {
  const BytesView x = bytes.subspan(4, kFieldSize);
  const BytesView y = bytes.subspan(4 + kFieldSize, kFieldSize);
  if (u32(bytes, 0) != kCurveP384 || !is_zero(x.subspan(kScalarSize)) ||
      !is_zero(y.subspan(kScalarSize)) || !is_zero(bytes.subspan(4 + 2 * kFieldSize))) {
    return fail(Code::kInvalidArgument, "read ID public key: not P-384, or other octets in it");
  }
  return tee::PublicKey::from_ec_point(tee::Curve::kP384, scalar(x.first(kScalarSize)),
                                       scalar(y.first(kScalarSize)));
}

void check_signature(std::string_view name, BytesView key_bytes, BytesView message,
                     BytesView signature, tee::Verdict& verdict) {
  const auto key = read_key(key_bytes);
  const BytesView r = signature.first(kFieldSize);
  const BytesView s = signature.subspan(kFieldSize, kFieldSize);
  const bool format = is_zero(signature.subspan(2 * kFieldSize));
  const bool valid = key && format &&
                     key->verify_ecdsa(tee::HashAlgorithm::kSha384, message, scalar(r), scalar(s));
  verdict.add(name, valid, "valid", valid ? "valid" : (key ? "invalid" : key.error().message()),
              kSource);
}

void check_auth(BytesView block, BytesView auth, tee::Verdict& verdict) {
  const bool reserved = is_zero(auth.subspan(kReserved008, kIdBlockSig - kReserved008)) &&
                        is_zero(auth.subspan(kReserved644, kIdKeySig - kReserved644)) &&
                        is_zero(auth.subspan(kReservedC84));
  verdict.add("id_auth.reserved", reserved, "zero", reserved ? "zero" : "other octets", kSource);
  verdict.add_equal("id_auth.id_key_algo", fmt::to_string(kEcdsaP384Sha384),
                    fmt::to_string(u32(auth, kIdKeyAlgo)), kSource);
  const BytesView id_key = auth.subspan(kIdKey, kIdPublicKeySize);
  check_signature("id_auth.id_block_signature", id_key, block,
                  auth.subspan(kIdBlockSig, kSignatureSize), verdict);
  verdict.claims()["id_key_digest"] = to_hex(tee::sha384(id_key));
  const BytesView author_key = auth.subspan(kAuthorKey, kIdPublicKeySize);
  const BytesView id_key_sig = auth.subspan(kIdKeySig, kSignatureSize);
  if (u32(auth, kAuthorKeyAlgo) == 0 && is_zero(author_key) && is_zero(id_key_sig)) {
    verdict.add_waived("id_auth.id_key_signature", "no author key", "an author key is optional");
    return;
  }
  verdict.add_equal("id_auth.author_key_algo", fmt::to_string(kEcdsaP384Sha384),
                    fmt::to_string(u32(auth, kAuthorKeyAlgo)), kSource);
  check_signature("id_auth.id_key_signature", author_key, id_key, id_key_sig, verdict);
  verdict.claims()["author_key_digest"] = to_hex(tee::sha384(author_key));
}

}  // namespace

Octets<kIdBlockSize> encode_id_block(const IdBlock& block) {
  Octets<kIdBlockSize> out{};
  put(out, 0x00, block.launch_digest);
  put(out, 0x30, block.family_id);
  put(out, 0x40, block.image_id);
  put_le(out, 0x50, block.version, 4);
  put_le(out, 0x54, block.guest_svn, 4);
  put_le(out, 0x58, block.policy.raw, 8);
  return out;
}

Result<IdBlock> parse_id_block(BytesView bytes) {
  ByteReader reader(bytes, "ID block");
  IdBlock out;
  const auto take = [&](std::span<std::uint8_t> field) -> Status {
    COFFER_TRY(const BytesView octets, reader.take(field.size()));
    std::ranges::copy(octets, field.begin());
    return {};
  };
  COFFER_TRY_VOID(take(out.launch_digest));
  COFFER_TRY_VOID(take(out.family_id));
  COFFER_TRY_VOID(take(out.image_id));
  COFFER_TRY(out.version, reader.u32_le());
  COFFER_TRY(out.guest_svn, reader.u32_le());
  COFFER_TRY(out.policy.raw, reader.u64_le());
  COFFER_TRY_VOID(reader.expect_end());
  if (out.version != 1) {
    return fail(Code::kInvalidArgument,
                fmt::format("read ID block: version {}, want 1", out.version));
  }
  return out;
}

Result<Octets<kIdPublicKeySize>> encode_id_public_key(const tee::PublicKey& key) {
  if (key.curve() != tee::Curve::kP384) {
    return fail(Code::kFailedPrecondition, "encode ID public key: want an EC key on P-384");
  }
  COFFER_TRY(const tee::EcPoint point, key.ec_point());
  Octets<kIdPublicKeySize> out{};
  put_le(out, 0, kCurveP384, 4);
  put_scalar(out, 4, point.x);
  put_scalar(out, 4 + kFieldSize, point.y);
  return out;
}

Result<Octets<48>> id_key_digest(const tee::PublicKey& key) {
  COFFER_TRY(const auto structure, encode_id_public_key(key));
  return tee::sha384(structure);
}

Result<Octets<kIdAuthSize>> make_id_auth(const IdBlock& block, const tee::PrivateKey& id_key,
                                         const tee::PrivateKey* author_key) {
  Octets<kIdAuthSize> out{};
  COFFER_TRY(const auto id_public, encode_id_public_key(id_key.public_key()));
  put_le(out, kIdKeyAlgo, kEcdsaP384Sha384, 4);
  put(out, kIdKey, id_public);
  COFFER_TRY_VOID(sign_into(out, kIdBlockSig, id_key, encode_id_block(block)));
  if (author_key == nullptr) return out;
  COFFER_TRY(const auto author_public, encode_id_public_key(author_key->public_key()));
  put_le(out, kAuthorKeyAlgo, kEcdsaP384Sha384, 4);
  put(out, kAuthorKey, author_public);
  COFFER_TRY_VOID(sign_into(out, kIdKeySig, *author_key, id_public));
  return out;
}

tee::Verdict check_id_block(BytesView block_bytes, BytesView auth) {
  tee::Verdict verdict("snp");
  const auto block = parse_id_block(block_bytes);
  verdict.add("id_block.format", block.has_value(), "96 octets, version 1",
              block ? "well formed" : block.error().message(), kSource);
  verdict.add_equal("id_auth.length", fmt::to_string(kIdAuthSize), fmt::to_string(auth.size()),
                    kSource);
  if (block) {
    verdict.claims() = {{"launch_digest", to_hex(block->launch_digest)},
                        {"family_id", to_hex(block->family_id)},
                        {"image_id", to_hex(block->image_id)},
                        {"version", block->version},
                        {"guest_svn", block->guest_svn},
                        {"policy", fmt::format("{:#x}", block->policy.raw)}};
  }
  if (auth.size() == kIdAuthSize) check_auth(block_bytes, auth, verdict);
  return verdict;
}

}  // namespace coffer::snp
