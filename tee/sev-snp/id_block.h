// ID blocks: what a guest's owner signs so that firmware launches this image and no other, and so
// that the report names the signer.
//
// SEV-SNP ABI 56860 rev 1.58, section 8.18 "SNP_LAUNCH_FINISH": table 75 "ID block", table 76 "ID
// authentication information structure"; public keys as in section 10.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/private_key.h"
#include "tee/sev-snp/report.h"
#include "tee/verdict.h"

namespace coffer::snp {

inline constexpr std::size_t kIdBlockSize = 96;
inline constexpr std::size_t kIdAuthSize = 4096;
inline constexpr std::size_t kIdPublicKeySize = 0x404;

struct IdBlock {
  Octets<48> launch_digest{};          // LD: the launch fails with another
  Octets<16> family_id{};              // FAMILY_ID
  Octets<16> image_id{};               // IMAGE_ID
  std::uint32_t version = 1;           // VERSION
  std::uint32_t guest_svn = 0;         // GUEST_SVN
  GuestPolicy policy{.raw = 0x30000};  // POLICY: the launch fails with another
};

[[nodiscard]] Octets<kIdBlockSize> encode_id_block(const IdBlock& block);
// kInvalidArgument for another size or version.
[[nodiscard]] Result<IdBlock> parse_id_block(BytesView bytes);

// The public key structure that the report's digests are over: curve P-384, coordinates of 72
// little-endian octets. kFailedPrecondition for a key on another curve.
[[nodiscard]] Result<Octets<kIdPublicKeySize>> encode_id_public_key(const tee::PublicKey& key);
// ID_KEY_DIGEST or AUTHOR_KEY_DIGEST of a key: SHA-384 of that structure.
[[nodiscard]] Result<Octets<48>> id_key_digest(const tee::PublicKey& key);

// Signs the block with the ID key and, when there is one, the ID key with the author key.
[[nodiscard]] Result<Octets<kIdAuthSize>> make_id_auth(const IdBlock& block,
                                                       const tee::PrivateKey& id_key,
                                                       const tee::PrivateKey* author_key);

// Checks both structures as the firmware does; claims: the block's fields and the key digests.
[[nodiscard]] tee::Verdict check_id_block(BytesView block, BytesView auth);

}  // namespace coffer::snp
